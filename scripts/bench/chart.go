package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// A bar is one of a chart.
type bar struct {
	name  string
	value float64 // µs
}

const (
	barHeight  = 22
	barGap     = 10
	nameWidth  = 190
	barWidth   = 380 // of the longest
	valueWidth = 80
	titleSpace = 34
)

// chart draws bars, the shortest first, as SVG. Its grey text can be read on
// light and dark pages, and the ground is left as it is.
func chart(bars []bar) string {
	bars = slices.Clone(bars)
	slices.SortStableFunc(bars, func(a, b bar) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	longest := 0.0
	for _, b := range bars {
		longest = max(longest, b.value)
	}
	width, height := nameWidth+barWidth+valueWidth, titleSpace+len(bars)*(barHeight+barGap)
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="%[3]s" font-family="system-ui, sans-serif" font-size="14" fill="#808890">`+"\n",
		width, height, chartTitle)
	fmt.Fprintf(&s, `<text x="0" y="16" font-weight="600">%s</text>`+"\n", chartTitle)
	for i, b := range bars {
		y := titleSpace + i*(barHeight+barGap)
		length := max(2, int(b.value/longest*barWidth))
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text>`, nameWidth-10, y+16, html.EscapeString(b.name))
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="%s"/>`, nameWidth, y, length, barHeight, barColour(b))
		fmt.Fprintf(&s, `<text x="%d" y="%d">%.1f µs</text>`+"\n", nameWidth+length+8, y+16, b.value)
	}
	s.WriteString("</svg>\n")
	return s.String()
}

const chartTitle = "CPU of the front for each new connection, saturated"

// barColour makes stickyd stand out.
func barColour(b bar) string {
	if strings.HasPrefix(b.name, "stickyd") {
		return "#2f81f7"
	}
	return "#9aa4ae"
}
