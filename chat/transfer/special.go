package transfer

import "fmt"

// notSent says that n links or special files of a folder are not sent.
func notSent(folder string, n int) string {
	if n == 1 {
		return fmt.Sprintf("1 link or special file in %q is left out.", folder)
	}
	return fmt.Sprintf("%d links or special files in %q are left out.", n, folder)
}
