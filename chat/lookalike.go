package chat

import (
	"strings"
	"sync"
)

// Characters that look like one or two of the program's name. Compatibility decomposition (UAX #15) turns those of
// compat into the same letters, without marks, as a test checks; those of homoglyphs only look similar (UTS #39).
var (
	compat = map[string]string{
		"2":  "²₂②⑵⒉２𝟐𝟚𝟤𝟮𝟸🄃🯲",
		"a":  "ªÀÁÂÃÄÅàáâãäåĀāĂăĄąǍǎǞǟǠǡǺǻȀȁȂȃȦȧᴬᵃḀḁẠạẢảẤấẦầẨẩẪẫẬậẮắẰằẲẳẴẵẶặₐ\u212b⒜ⒶⓐＡａ𝐀𝐚𝐴𝑎𝑨𝒂𝒜𝒶𝓐𝓪𝔄𝔞𝔸𝕒𝕬𝖆𝖠𝖺𝗔𝗮𝘈𝘢𝘼𝙖𝙰𝚊🄐🄰",
		"c":  "ÇçĆćĈĉĊċČčᶜḈḉℂ℃ℭⅭⅽ⒞ⒸⓒꟲＣｃ𝐂𝐜𝐶𝑐𝑪𝒄𝒞𝒸𝓒𝓬𝔠𝕔𝕮𝖈𝖢𝖼𝗖𝗰𝘊𝘤𝘾𝙘𝙲𝚌🄒🄫🄲",
		"h":  "ĤĥȞȟʰᴴḢḣḤḥḦḧḨḩḪḫẖₕℋℌℍℎ⒣ⒽⓗＨｈ𝐇𝐡𝐻𝑯𝒉𝒽𝓗𝓱𝔥𝕙𝕳𝖍𝖧𝗁𝗛𝗵𝘏𝘩𝙃𝙝𝙷𝚑🄗🄷",
		"p":  "ᴾᵖṔṕṖṗₚℙ⒫ⓅⓟＰｐ𝐏𝐩𝑃𝑝𝑷𝒑𝒫𝓅𝓟𝓹𝔓𝔭𝕡𝕻𝖕𝖯𝗉𝗣𝗽𝘗𝘱𝙋𝙥𝙿𝚙🄟🄿",
		"t":  "ŢţŤťȚțᵀᵗṪṫṬṭṮṯṰṱẗₜ⒯ⓉⓣＴｔ𝐓𝐭𝑇𝑡𝑻𝒕𝒯𝓉𝓣𝓽𝔗𝔱𝕋𝕥𝕿𝖙𝖳𝗍𝗧𝘁𝘛𝘵𝙏𝙩𝚃𝚝🄣🅃",
		"ha": "㏊",
		"pc": "㍶",
	}
	homoglyphs = map[string]string{ // signaling/web/src/name.ts has the same
		"2": "Ƨƨᒿ२❷➁➋⓶",
		"a": "аАαΑɑᴀⲀⲁᎪꓮ@🅐🅰🇦",
		"c": "сСϲϹᴄⲤⲥᏟꓚ©🅒🅲🇨",
		"h": "һҺнНհηΗħĦɦʜⲎⲏᎻᏂꓧ🅗🅷🇭",
		"p": "рРҏҎρΡϱƿᴘⲢⲣᏢꓑ⍴🅟🅿🇵",
		"t": "тТτΤᴛⲦⲧᎢꓔ†🅣🆃🇹",
	}
	lookalikes = sync.OnceValue(func() map[rune]string { // 1,000 runes are not entered at each start
		m := map[rune]string{}
		for _, table := range []map[string]string{compat, homoglyphs} {
			for like, all := range table {
				for _, r := range all {
					m[r] = like
				}
			}
		}
		return m
	})
)

// skeleton returns the letters and digits that a name seems to have, without signs and marks.
func skeleton(name string) string {
	var b strings.Builder
	for _, r := range name {
		if like, ok := lookalikes()[r]; ok {
			b.WriteString(like)
		} else if alphanumeric(r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}
