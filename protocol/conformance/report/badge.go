package report

import (
	"fmt"
	"html"
	"io"

	"github.com/purewire/purewire/protocol/conformance"
)

const badgeLabel = "WireGuard conformance"

// WriteBadge writes an SVG badge about one run: green if no rule was broken, amber if only SHOULD rules were, red if a
// MUST rule was, grey if the run is void or judged nothing.
func WriteBadge(w io.Writer, run *Run) error {
	c := run.Counts
	must, should := 0, 0
	for i := range run.Results {
		switch r := &run.Results[i]; {
		case Failed(r, false):
			must++
		case Failed(r, true):
			should++
		}
	}
	judged := c.Pass + c.Fail + c.Warn + c.Flaky
	text, colour := fmt.Sprintf("%d of %d", c.Pass, judged), "#2e7d32"
	switch {
	case c.Of(conformance.Broken) > 0:
		text, colour = "run void", "#616161"
	case must == 0 && c.NotRun > 0:
		text, colour = fmt.Sprintf("%d of %d, ended early", c.Pass, c.Total()), "#616161"
	case must > 0:
		text, colour = fmt.Sprintf("%d of %d, %d failed", c.Pass, judged, must), "#c62828"
	case should > 0:
		text, colour = fmt.Sprintf("%d of %d, %d warned", c.Pass, judged, should), "#9a6700"
	case judged == 0:
		text, colour = "not judged", "#616161"
	}
	left, right := textWidth(badgeLabel)+12, textWidth(text)+12
	_, err := fmt.Fprintf(w, badgeSVG, left+right, left, right, html.EscapeString(badgeLabel), html.EscapeString(text),
		colour, left/2, left+right/2)
	return err
}

// badgeSVG takes: whole, left and right width, label, text, colour, middle of label, middle of text.
const badgeSVG = `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img"
 aria-label="%[4]s: %[5]s">
<title>%[4]s: %[5]s</title>
<clipPath id="r"><rect width="%[1]d" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="%[2]d" height="20" fill="#444c56"/>` +
	`<rect x="%[2]d" width="%[3]d" height="20" fill="%[6]s"/></g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">` +
	`<text x="%[7]d" y="14">%[4]s</text><text x="%[8]d" y="14">%[5]s</text></g>
</svg>
`

// textWidth estimates the width of text in Verdana of 11 pixels: narrow, wide and other characters.
func textWidth(s string) (px int) {
	for _, r := range s {
		switch r {
		case 'i', 'j', 'l', 'f', 't', 'r', ' ', '.', ',', 'I':
			px += 4
		case 'm', 'w', 'W', 'G', 'M':
			px += 10
		default:
			px += 7
		}
	}
	return px
}
