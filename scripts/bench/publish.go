//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// publish prints the results and writes the files that were asked for.
func (p *plan) publish(r *results) error {
	for _, line := range r.Versions {
		fmt.Println(line + "  ")
	}
	fmt.Printf("%d workers, %d rounds of %g s, medians (lowest–highest)\n\n%s", r.Workers, r.Rounds, r.Seconds, legend)
	for _, g := range p.groups {
		if g.title != "" {
			fmt.Printf("\n%s:\n", g.title)
		}
		fmt.Println()
		r.table(os.Stdout, loadLabels(g), frontLabels(g))
		var sentences strings.Builder
		r.troubles(&sentences, loadLabels(g), frontLabels(g))
		if p.options.node {
			r.expectations(&sentences, loadLabels(g), frontLabels(g))
			r.besideBefore(&sentences, loadLabels(g), frontLabels(g))
		}
		if sentences.Len() > 0 {
			fmt.Print("\n" + sentences.String())
		}
	}
	r.idleTable(os.Stdout, p.labels())
	if len(r.Findings) > 0 {
		fmt.Println()
	}
	for _, sentence := range r.Findings {
		fmt.Println("* " + sentence)
	}
	return p.write(r)
}

// legend says what the table shows.
const legend = "÷ is the ratio to another front in the same rounds: of requests/s to workers without a front, and of the " +
	"front's CPU to the C loop's, to the Node primary's, and to what the load generator used itself. " +
	"A wrong worker is one that does not have the session. nginx learns nothing: its sessions are picked so that it finds them.\n"

func loadLabels(g group) (labels []label) {
	for _, l := range g.loads {
		labels = append(labels, label{key: l.key, name: l.name})
	}
	return labels
}

func frontLabels(g group) (labels []label) {
	for _, f := range g.fronts {
		labels = append(labels, label{key: f.key, name: f.name, peer: f.peer})
	}
	return labels
}

// labels are those of all fronts.
func (p *plan) labels() (labels []label) {
	for _, g := range p.groups {
		labels = append(labels, frontLabels(g)...)
	}
	for _, f := range p.fronts() {
		labels = append(labels, label{key: f.key, name: f.name})
	}
	return labels
}

// writable tries to open the files that will be written, before the work is
// done that would be lost.
func (o options) writable() error {
	for _, name := range []string{o.json, o.svg} {
		if name == "" {
			continue
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}

// write writes the files of --json and --svg.
func (p *plan) write(r *results) error {
	if file := p.options.json; file != "" {
		text, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if file := p.options.svg; file != "" {
		return os.WriteFile(file, []byte(chart(p.bars(r))), 0o644)
	}
	return nil
}

// bars are what each front uses for a new connection.
func (p *plan) bars(r *results) (bars []bar) {
	drawn := map[string]bool{}
	for _, l := range p.labels() {
		if s := r.spread(l.key, "new", frontCPU); s.Median > 0 && !drawn[l.key] {
			drawn[l.key] = true
			bars = append(bars, bar{l.name, s.Median})
		}
	}
	return bars
}
