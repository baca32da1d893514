package conformance

// T is what a case has in its hands while it runs.
type T struct{}
