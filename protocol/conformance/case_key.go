package conformance

var keyCases = []Case{}
