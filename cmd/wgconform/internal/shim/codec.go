package shim

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FieldError is what is wrong with one field of a message. An empty Field is the line as a whole.
type FieldError struct{ Field, Problem string }

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return e.Field + ": " + e.Problem
}

// Encode writes a message as a line, always in the same way.
func Encode(message any) ([]byte, error) {
	b, err := json.Marshal(message, json.Deterministic(true))
	return append(b, '\n'), err
}

// Decode reads a line. Fields that the type has not are ignored, unless strict. The error is a *FieldError.
func Decode(line []byte, message any, strict bool) error {
	return fieldError(json.Unmarshal(line, message, json.RejectUnknownMembers(strict)))
}

// fieldError says what is wrong in words of the protocol instead of Go's types.
func fieldError(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &semantic):
		problem := fmt.Sprintf("cannot be a JSON %v", semantic.JSONKind)
		switch {
		case errors.Is(err, json.ErrUnknownName):
			problem = "no such field in the protocol"
		case semantic.Err != nil:
			problem = semantic.Err.Error()
		case len(semantic.JSONValue) > 0:
			problem = fmt.Sprintf("cannot be %.60s", semantic.JSONValue)
		}
		return &FieldError{strings.Trim(strings.ReplaceAll(string(semantic.JSONPointer), "/", "."), "."), problem}
	case errors.As(err, &syntactic):
		return &FieldError{"", fmt.Sprintf("no JSON after %d bytes: %v", syntactic.ByteOffset, syntactic.Err)}
	}
	return &FieldError{"", err.Error()}
}
