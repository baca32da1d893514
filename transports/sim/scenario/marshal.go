package scenario

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Marshal writes the file as YAML. Fields that are at their defaults are left out; [Parse] of the result gives the
// same File again, and Marshal of that the same bytes.
func (f *File) Marshal() ([]byte, error) {
	text, err := yaml.MarshalWithOptions(f, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", f.Name, err)
	}
	return text, nil
}
