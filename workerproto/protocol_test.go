package workerproto

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stickyd/stickyd/fdpass"
)

// PROTOCOL.md is what other libraries are written from: its types and limits
// are this package's.
func TestProtocolTextSaysWhatTheCodeDoes(t *testing.T) {
	raw, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	described := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^### `([A-Z]+)` (0x[0-9a-f]{2})$").FindAllStringSubmatch(text, -1) {
		described[m[1]+" "+m[2]] = true
	}
	for kind, name := range typeNames {
		if heading := fmt.Sprintf("%s 0x%02x", name, uint8(kind)); !described[heading] {
			t.Errorf("no heading for %s", heading)
		}
	}
	if len(described) != len(typeNames) {
		t.Errorf("%d types are described, there are %d", len(described), len(typeNames))
	}
	for _, row := range []string{
		"| body of a frame | " + thousands(MaxBody) + " bytes |",
		"| message of several frames | " + thousands(fdpass.MaxMessage) + " bytes |",
		fmt.Sprintf("| descriptors in a message | %d (`SCM_MAX_FD`) |", fdpass.MaxFDs),
		"| bytes to replay | " + thousands(MaxReplay) + " bytes:",
		fmt.Sprintf("| session id | 1 to %d bytes |", MaxID),
		fmt.Sprintf("| window | 1 to %d |", maxWindow),
		"| tally | " + thousands(fdpass.PageSize) + " bytes |",
		fmt.Sprintf("version %d\n", Version),
		fmt.Sprintf("in at most %d seconds", int(orphanGrace.Seconds())),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("this is not in the text: %q", row)
		}
	}
	for _, name := range []string{EnvFD, EnvWorker, EnvWorkers, EnvProtocol, EnvInstance,
		EnvNodeChannel, EnvNodeSerialization, EnvNodeID} {
		if !strings.Contains(text, "| `"+name+"` |") {
			t.Errorf("%s is not in the text", name)
		}
	}
}

func thousands(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
