package chat

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// Files of /proc say that they are empty, and those of /sys that they have 4096 bytes.
func TestPseudoFiles(t *testing.T) {
	for _, path := range []string{"/proc/cpuinfo", "/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled"} {
		want, err := os.ReadFile(path) //nolint:gosec // a file of the test
		if err != nil {
			t.Logf("%s: %v", path, err)
			continue
		}
		dir := t.TempDir()
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, _ *talker) {
			id := offers(t, a, path)
			synctest.Wait()
			if !a.Sent(id) {
				t.Errorf("%s is not sent: %v", path, failures(a))
			}
		})
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(path)))                           //nolint:gosec // a file of the test
		if err != nil || len(got) == 0 || path != "/proc/cpuinfo" && string(got) != string(want) { // whose frequencies change
			t.Errorf("of %s %d bytes have arrived (%v)", path, len(got), err)
		}
	}

	t.Run("in a folder, too", func(t *testing.T) {
		dir := t.TempDir()
		meets(t, nil, []option{into(dir), accepts}, func(t *testing.T, a, _ *talker) {
			id := offers(t, a, "/proc/sys/kernel/random")
			synctest.Wait()
			if !a.Sent(id) {
				t.Errorf("it is not sent: %v", failures(a))
			}
		})
		if got, err := os.ReadFile(filepath.Join(dir, "random", "boot_id")); err != nil || len(got) != 37 { //nolint:gosec // a file of the test
			t.Errorf("%q (%v)", got, err)
		}
	})
}
