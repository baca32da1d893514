package scenario

// Expectation is what a file expects of a run.
type Expectation struct {
	Text string // as written
}

func (c *compiler) expect() {
	for _, text := range c.f.Expect {
		c.out.Expect = append(c.out.Expect, Expectation{Text: text})
	}
}
