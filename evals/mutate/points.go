package mutate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// family says what kind of code a mutant leaves out.
type family string

const (
	cases  family = "case"  // a value of a case clause, or a default clause
	guards family = "guard" // the condition of an if that refuses, or a statement that does
)

// point is one place that can be left out: one mutant.
type point struct {
	id     int
	family family
	pkg    string // folder below the root
	file   string // path below the root
	line   int
	key    string // package, function and text: stays the same when lines move
}

// function names the function that the point is in, with its package.
func (p point) function() string {
	f, _, _ := strings.Cut(p.key, ": ")
	return f
}

// rewriter makes the mutants of one file.
type rewriter struct {
	src    []byte
	fset   *token.FileSet
	pkg    string
	path   string
	next   *int
	keys   map[string]int // how often a key was given
	refuse refusers

	fn     *ast.FuncType
	name   string
	points []point
	edits  []edit
}

// instrument gives the file's text with a switch at each point, and the points. Numbers go on from
// *next, keys counts the keys of the whole package.
func instrument(src []byte, pkg, path string, next *int, keys map[string]int, refuse refusers) (string, []point, error) {
	r := &rewriter{src: src, fset: token.NewFileSet(), pkg: pkg, path: path, next: next, keys: keys, refuse: refuse}
	f, err := parser.ParseFile(r.fset, path, src, parser.ParseComments)
	if err != nil {
		return "", nil, err
	}
	for _, d := range f.Decls {
		fd, ok := d.(*ast.FuncDecl)
		if !ok || fd.Body == nil {
			continue
		}
		r.fn, r.name = fd.Type, funcName(fd)
		r.walk(fd.Body)
	}
	if len(r.points) == 0 {
		return string(src), nil, nil
	}
	r.insert(f.Name.End(), `; import "sallyport/evals/mutate/mutant"`, nil)
	return render(r.src, r.edits), r.points, nil
}

func funcName(fd *ast.FuncDecl) string {
	if fd.Recv == nil {
		return fd.Name.Name
	}
	t := fd.Recv.List[0].Type
	if s, ok := t.(*ast.StarExpr); ok {
		t = s.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fd.Name.Name
	}
	return fd.Name.Name
}

func (r *rewriter) walk(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			outer := r.fn
			r.fn = n.Type
			r.walk(n.Body)
			r.fn = outer
			return false
		case *ast.BlockStmt:
			r.statements(n.List)
		case *ast.CaseClause:
			r.statements(n.Body)
		case *ast.SwitchStmt:
			r.expressionSwitch(n)
		case *ast.TypeSwitchStmt:
			r.typeSwitch(n)
		case *ast.IfStmt:
			if r.refuse.refuses(n.Body.List, r.fn, r.name) {
				id := r.point(guards, n.Cond.Pos(), "if "+r.text(n.Cond))
				r.insert(n.Cond.Pos(), "(", nil)
				r.insert(n.Cond.End(), fmt.Sprintf(") && mutant.Keep(%d)", id), nil)
			}
		}
		return true
	})
}

// statements makes mutants of refusals that stand by themselves. A block that is nothing else and hangs
// at an if is left to the mutant of its condition.
func (r *rewriter) statements(list []ast.Stmt) {
	if len(list) == 1 && r.refuse.statement(list[0]) && !r.inClause(list[0]) {
		return
	}
	for _, s := range list {
		if r.refuse.statement(s) {
			id := r.point(guards, s.Pos(), r.text(s))
			r.insert(s.Pos(), fmt.Sprintf("if mutant.Keep(%d) { ", id), nil)
			r.insert(s.End(), " }", nil)
		}
	}
}

// inClause tells statements of a case clause from those of a block in braces.
func (r *rewriter) inClause(s ast.Stmt) bool {
	before := strings.TrimRight(string(r.src[:r.offset(s.Pos())]), " \t\n")
	return strings.HasSuffix(before, ":")
}

// expressionSwitch: without a tag each condition can be switched off, and a later one may then hold.
// With one, a value that is left out goes where the default goes.
func (r *rewriter) expressionSwitch(s *ast.SwitchStmt) {
	if s.Tag == nil {
		for _, c := range s.Body.List {
			for _, e := range c.(*ast.CaseClause).List {
				id := r.point(cases, e.Pos(), "case "+r.text(e))
				r.insert(e.Pos(), "(", nil)
				r.insert(e.End(), fmt.Sprintf(") && mutant.Keep(%d)", id), nil)
			}
		}
		r.defaultClause(s.Body, "switch")
		return
	}
	tag := r.text(s.Tag)
	r.clauses(s.Body, "switch "+tag, func(values []ast.Expr, first int) string {
		var is []string
		for _, v := range values {
			is = append(is, fmt.Sprintf("(%s) == (%s)", tag, r.text(v)))
		}
		return fmt.Sprintf("mutant.KeepAt(%d, %s)", first, strings.Join(is, ", "))
	})
}

func (r *rewriter) typeSwitch(s *ast.TypeSwitchStmt) {
	var bound string
	var x ast.Expr
	switch a := s.Assign.(type) {
	case *ast.AssignStmt:
		bound = a.Lhs[0].(*ast.Ident).Name
		x = a.Rhs[0].(*ast.TypeAssertExpr).X
	case *ast.ExprStmt:
		x = a.X.(*ast.TypeAssertExpr).X
	}
	head := "switch " + r.text(x) + ".(type)"
	if bound == "" {
		bound = r.text(x)
	}
	r.clauses(s.Body, head, func(values []ast.Expr, first int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "func() bool { switch any(%s).(type) { ", bound)
		for i, v := range values {
			fmt.Fprintf(&b, "case %s: return mutant.Keep(%d); ", r.text(v), first+i)
		}
		b.WriteString("}; return true }()")
		return b.String()
	})
}

// clauses guards the body of every clause; what is left out goes to a copy of the default's body.
func (r *rewriter) clauses(body *ast.BlockStmt, head string, which func([]ast.Expr, int) string) {
	var def *ast.CaseClause
	for _, s := range body.List {
		if c := s.(*ast.CaseClause); c.List == nil {
			def = c
		}
	}
	for i, s := range body.List {
		c := s.(*ast.CaseClause)
		if c.List == nil || len(c.Body) == 0 && (def == nil || len(def.Body) == 0) {
			continue // without body and default, the case and its absence are the same
		}
		first := *r.next
		for _, v := range c.List {
			r.point(cases, v.Pos(), head+": case "+r.text(v))
		}
		keep := fmt.Sprintf("mutant.Keep(%d)", first)
		if len(c.List) > 1 {
			keep = which(c.List, first)
		}
		r.insert(c.Colon+1, " if "+keep+" {", c)
		end := clauseEnd(body, i)
		if def != nil && len(def.Body) > 0 {
			r.insert(end, "} else {", c)
			r.copy(end, def, clauseEnd(body, index(body, def)))
		}
		r.insert(end, "}; ", c)
	}
	r.defaultClause(body, head)
}

// defaultClause makes a mutant without the default, where the function would still compile.
func (r *rewriter) defaultClause(body *ast.BlockStmt, head string) {
	for i, s := range body.List {
		c := s.(*ast.CaseClause)
		if c.List != nil || len(c.Body) == 0 || terminates(c.Body[len(c.Body)-1]) {
			continue
		}
		id := r.point(cases, c.Pos(), head+": default")
		r.insert(c.Colon+1, fmt.Sprintf(" if mutant.Keep(%d) {", id), c)
		r.insert(clauseEnd(body, i), "}; ", c)
	}
}

func terminates(s ast.Stmt) bool {
	if e, ok := s.(*ast.ExprStmt); ok {
		call, ok := e.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		id, ok := call.Fun.(*ast.Ident)
		return ok && id.Name == "panic"
	}
	_, ok := s.(*ast.ReturnStmt)
	return ok
}

// clauseEnd is where the next clause begins, or the switch ends.
func clauseEnd(body *ast.BlockStmt, i int) token.Pos {
	if i+1 < len(body.List) {
		return body.List[i+1].Pos()
	}
	return body.Rbrace
}

func index(body *ast.BlockStmt, c *ast.CaseClause) int {
	for i, s := range body.List {
		if s == c {
			return i
		}
	}
	return -1
}

func (r *rewriter) point(f family, pos token.Pos, text string) int {
	id := *r.next
	*r.next++
	key := r.pkg + " " + r.name + ": " + text
	r.keys[key]++
	if n := r.keys[key]; n > 1 {
		key += fmt.Sprintf(" #%d", n)
	}
	r.points = append(r.points, point{id: id, family: f, pkg: r.pkg, file: r.path, line: r.fset.Position(pos).Line, key: key})
	return id
}

func (r *rewriter) offset(p token.Pos) int { return r.fset.Position(p).Offset }

// text is the source of a node in one line.
func (r *rewriter) text(n ast.Node) string {
	return strings.Join(strings.Fields(string(r.src[r.offset(n.Pos()):r.offset(n.End())])), " ")
}
