package supervisor

import "fmt"

// counted is a number with the words for one, or for any other number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprint(n, " ", many)
}
