package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caarlos0/env/v11"
)

// Load reads environ, which has the form of os.Environ(), into a T: a struct of
// this package. Its error joins all faults, each naming its variable; none holds a
// secret.
func Load[T any](environ []string) (T, error) {
	vars := env.ToMap(environ)
	loaded, err := env.ParseAsWithOptions[T](env.Options{
		Environment: vars,
		FuncMap:     map[reflect.Type]env.ParserFunc{reflect.TypeFor[time.Duration](): parseTimeout},
	})
	variables := variablesOf(reflect.ValueOf(&loaded).Elem())
	if err != nil {
		var none T
		return none, errors.Join(faults(err, variables)...)
	}
	for _, v := range variables {
		// The library takes an empty variable for one that is not set.
		if text, set := vars[v.name]; set && text == "" && v.mayBeEmpty {
			v.value.SetZero()
		}
	}
	return loaded, nil
}

// Usage lists the variables of T, one a line: name, default or "required", and
// what it is.
func Usage[T any]() string {
	var none T
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, v := range variablesOf(reflect.ValueOf(&none).Elem()) {
		usual := v.usual
		if v.required {
			usual = "(required)"
		}
		_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\n", v.name, usual, v.help)
	}
	_ = w.Flush() // nothing fails that a strings.Builder is behind
	return text.String()
}

// variable is a field and what its tags say.
type variable struct {
	name, usual, help    string
	required, mayBeEmpty bool
	field                string
	value                reflect.Value
}

// variablesOf lists the variables of a struct and of those embedded in it, in
// order.
func variablesOf(s reflect.Value) []variable {
	var all []variable
	for i := range s.NumField() {
		field := s.Type().Field(i)
		if field.Anonymous {
			all = append(all, variablesOf(s.Field(i))...)
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("env"), ",")
		all = append(all, variable{
			name:       name,
			usual:      field.Tag.Get("envDefault"),
			help:       field.Tag.Get("help"),
			required:   strings.Contains(options, "required"),
			mayBeEmpty: field.Tag.Get("empty") == "allowed",
			field:      field.Name,
			value:      s.Field(i),
		})
	}
	return all
}

// faults says in our words, and with the names of variables, what the library
// says about fields.
func faults(err error, variables []variable) []error {
	var (
		many   env.AggregateError
		unset  env.VarIsNotSetError
		empty  env.EmptyVarError
		parsed env.ParseError
	)
	switch {
	case errors.As(err, &many):
		var all []error
		for _, e := range many.Errors {
			all = append(all, faults(e, variables)...)
		}
		return all
	case errors.As(err, &unset):
		return []error{fmt.Errorf("%s: is required and not set", unset.Key)}
	case errors.As(err, &empty):
		return []error{fmt.Errorf("%s: is required and empty", empty.Key)}
	case errors.As(err, &parsed):
		for _, v := range variables {
			if v.field == parsed.Name {
				return []error{fmt.Errorf("%s: %w", v.name, parsed.Err)}
			}
		}
	}
	return []error{err}
}
