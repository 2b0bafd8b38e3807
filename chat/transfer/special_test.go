package transfer

import "testing"

func TestNotSent(t *testing.T) {
	for n, want := range map[int]string{1: `1 link or special file in "dir" is left out.`, 2: `2 links or special files in "dir" are left out.`} {
		if got := notSent("dir", n); got != want {
			t.Errorf("it says %s", got)
		}
	}
}
