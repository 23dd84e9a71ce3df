package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// Who has forgotten --session, or Bind, reads so after a few requests, in the log and
// in stickyd status, and no id.
func TestForgottenSessionOrBindIsTold(t *testing.T) {
	const secret = "s%3Aprecious.signature"
	cookie := http.Header{"Cookie": {"theme=dark; connect.sid=" + secret}}
	expect := func(s *server, control, msg, hint string) {
		t.Helper()
		if e := s.await(msg, nil); !strings.Contains(e.str("hint"), hint) {
			t.Errorf("the hint is %q", e.str("hint"))
		}
		if _, out := ask(t, "status", control); !strings.Contains(strings.Join(strings.Fields(out), " "), hint) || !strings.Contains(out, "\nhint: ") {
			t.Errorf("status has no hint:\n%s", out)
		}
		if st := askStatus(t, control); !strings.Contains(st.Hint, hint) || strings.Contains(st.Hint, "precious") || strings.Contains(s.output(), "precious") {
			t.Errorf("the hint is %q, or something tells an id", st.Hint)
		}
	}

	s, _, control := controlled(t, 2, worker("app"))
	for range 5 {
		s.mustGetWith("/whoami", cookie)
	}
	expect(s, control, "no worker has registered a session, and no request carries an id where ids are looked for",
		"if that identifies a session, use --session cookie:connect.sid (in Go register each session, too: worker.Bind")
	for range 5 {
		s.mustGetWith("/handshake", cookie)
	}
	expect(s, control, "no request carries a session id where ids are looked for, though workers have registered sessions",
		"is it --session cookie:connect.sid?")

	s, _, control = controlled(t, 2, worker("app"), "--session", "cookie:connect.sid")
	s.mustGet("/whoami")
	for range 5 {
		s.mustGetWith("/whoami", cookie)
	}
	expect(s, control, "requests carry session ids, but no worker has registered any session",
		"register each session before you send its id: worker.Bind in Go")
	if st := askStatus(t, control); len(st.Sources) != 1 || st.Sources[0].Carried != 5 || st.Sources[0].Unknown != 5 {
		t.Errorf("sources: %+v", st.Sources)
	}
}
