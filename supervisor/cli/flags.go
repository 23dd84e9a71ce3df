package cli

import (
	"flag"
	"slices"
	"strings"
)

// Spread writes out letters of flags that are written together, and a value that
// follows its letter at once, so that package flag understands them: -fn5 is -f -n
// 5. What it does not know it leaves as it is. Behind -- nothing is changed, and,
// unless flags may stand behind other words (mixed), behind the first of those.
func Spread(flags *flag.FlagSet, args []string, mixed bool) (spread []string) {
	for i := 0; i < len(args); i++ {
		switch word := args[i]; {
		case word == "--", !isFlag(word) && !mixed:
			return append(spread, args[i:]...)
		case !isFlag(word):
			spread = append(spread, word)
			continue
		}
		spread = append(spread, letters(flags, args[i])...)
		if TakesValue(flags, spread[len(spread)-1]) && i+1 < len(args) {
			i++
			spread = append(spread, args[i])
		}
	}
	return spread
}

func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// letters spreads one word.
func letters(flags *flag.FlagSet, word string) []string {
	name := nameOf(word)
	if strings.HasPrefix(word, "--") || flags.Lookup(name) != nil || Nearest(name, names(flags)) != "" {
		return []string{word}
	}
	var spread []string
	for rest := word[1:]; rest != ""; rest = rest[1:] {
		letter := "-" + rest[:1]
		switch {
		case flags.Lookup(rest[:1]) == nil:
			return []string{word}
		case !TakesValue(flags, letter):
			spread = append(spread, letter)
			continue
		case len(rest) == 1:
			return append(spread, letter)
		}
		return append(spread, letter, strings.TrimPrefix(rest[1:], "="))
	}
	return spread
}

// names are those of flags that are longer than a letter.
func names(flags *flag.FlagSet) (all []string) {
	flags.VisitAll(func(f *flag.Flag) { all = append(all, f.Name) })
	return slices.DeleteFunc(all, func(name string) bool { return len(name) == 1 })
}

// TakesValue reports whether a word is a flag whose value is the next word.
func TakesValue(flags *flag.FlagSet, word string) bool {
	if !isFlag(word) {
		return false
	}
	f := flags.Lookup(strings.TrimLeft(word, "-"))
	if f == nil {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}

// Unknown is what to say of a flag that there is not, after flags.Parse(args) has
// failed for it: the word as it was written, but for its value, and its name.
func Unknown(flags *flag.FlagSet, args []string) (word, name string) {
	word, _, _ = strings.Cut(args[len(args)-flags.NArg()-1], "=")
	return word, nameOf(word)
}

// Similar is a hint at a flag that is most like a name; "" if none is.
func Similar(flags *flag.FlagSet, name string) string {
	return DidYouMean(name, names(flags), "--%s")
}

func nameOf(word string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return name
}
