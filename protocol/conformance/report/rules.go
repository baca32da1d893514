package report

import (
	_ "embed" // for the rules
	"strings"

	"github.com/purewire/purewire/protocol/conformance"
)

// rulesText is docs/rules.txt, which cannot be embedded from here; a test compares the two.
//
//go:embed rules.txt
var rulesText string

// Rule is a rule of the protocol in a few words.
type Rule struct {
	ID    string            `json:"id"`
	Level conformance.Level `json:"level"`
	Text  string            `json:"text"`
}

// Rules lists all rules in the order of docs/rules.txt.
func Rules() (all []Rule) {
	for line := range strings.Lines(rulesText) {
		cells := strings.Split(strings.TrimSpace(line), "\t")
		if len(cells) == 3 && !strings.HasPrefix(line, "#") {
			all = append(all, Rule{cells[0], conformance.Level(cells[1]), cells[2]})
		}
	}
	return all
}

// RuleOf finds a rule. One that does not exist comes back with its ID alone.
func RuleOf(id string) Rule {
	for _, r := range Rules() {
		if r.ID == id {
			return r
		}
	}
	return Rule{ID: id}
}
