package supervisor

import "fmt"

// counted is a number with the words for one, or for any other number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprint(n, " ", many)
}

// isOrAre is how one says that there is one worker, or that there are more.
func isOrAre(n int) string {
	if n == 1 {
		return "is 1 worker"
	}
	return fmt.Sprintf("are %d workers", n)
}
