module github.com/stickyd/stickyd

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/oklog/run v1.2.0
	golang.org/x/sys v0.49.0
)
