package conformance

var innerCases = []Case{}
