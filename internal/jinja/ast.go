package jinja

// expr is an expression. eval returns its value in a scope and panics with an *Error.
type expr interface{ eval(s *scope) Value }

// stmt is a statement, which writes to w.
type stmt interface {
	exec(s *scope, w *output) flow
}

// flow is the way in which a statement ended.
type flow int

const (
	onward flow = iota
	breaking
	continuing
)

type (
	constant  struct{ value Value }
	variable  struct{ name string }
	attribute struct {
		line   int
		object expr
		name   string
	}
	item struct {
		line          int
		object, index expr
	}
	slice struct {
		line             int
		object           expr
		start, end, step expr // nil: omitted
	}
	call struct {
		line   int
		callee expr
		args   arguments
	}
	filter struct {
		line  int
		input expr // nil in a {% filter %} block
		name  string
		args  arguments
	}
	test struct {
		line  int
		input expr
		name  string
		args  arguments
	}
	unary struct {
		line    int
		op      string
		operand expr
	}
	binary struct {
		line        int
		op          string
		left, right expr
	}
	comparison struct {
		line  int
		first expr
		ops   []string
		rest  []expr
	}
	logical struct {
		and         bool
		left, right expr
	}
	negation    struct{ operand expr }
	conditional struct {
		line               int
		cond, then, except expr // except may be nil: undefined
	}
	joined   struct{ parts []expr } // ~
	sequence struct {
		items []expr
		kind  kindOfList
	}
	mapping struct {
		line         int
		keys, values []expr
	}
)

// arguments are the arguments of a call, a filter or a test.
type arguments struct {
	positional []expr
	named      []namedArgument
	star       expr // *args
	starStar   expr // **kwargs
}

type namedArgument struct {
	name  string
	value expr
}

// target is bound by an assignment or a loop. It is a name, an attribute of a
// namespace, or a tuple of targets.
type target struct {
	line      int
	name      string
	attribute string // attribute of the namespace called name
	tuple     []target
}

type (
	literal struct{ text string }
	print   struct {
		line  int
		value expr
	}
	conditionalBlock struct {
		conds  []expr
		bodies [][]stmt
		except []stmt
	}
	loop struct {
		line      int
		target    target
		over      expr
		test      expr // nil: all
		body      []stmt
		except    []stmt
		recursive bool
	}
	jump       struct{ how flow }
	assignment struct {
		line   int
		target target
		value  expr
	}
	assignedBlock struct {
		line    int
		target  target
		filters []*filter
		body    []stmt
	}
	macroDefinition struct {
		line     int
		name     string // "" for the body of a call block
		params   []string
		defaults []expr // for the last params
		body     []stmt
		takes    struct{ caller, varargs, kwargs bool }
	}
	callBlock struct {
		line int
		call *call
		body *macroDefinition
	}
	filterBlock struct {
		line    int
		filters []*filter
		body    []stmt
	}
	withBlock struct {
		line    int
		targets []target
		values  []expr
		body    []stmt
	}
	generation struct {
		line int
		body []stmt
	}
)
