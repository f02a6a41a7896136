package mutate

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// refusers knows what a refusal looks like in one package.
type refusers struct {
	calls map[string]bool // functions that end what called them
}

// objections are functions whose answer is a refusal though their type does not say so: what they give
// then, by receiver or name.
var objections = map[string]string{
	"verifier":       "false",  // mask's verifier: what it does not know is no mask
	"checkReader":    "false",  // mask: a check that it does not understand
	"fits":           "string", // mask: why a transform does not fit
	"generaliseFits": "string",
	"validate":       "string",
	"steady":         "string", // sqlguard: why a row filter does not hold
}

// refusalTypes are results that are refusals unless nil.
var refusalTypes = []string{"error", "*access.Error", "*access.Decision"}

// refusalCalls make a refusal out of what they are given, where the type (access.Decision) may be either.
var refusalCalls = []string{"denied", "refuse", "no"}

// findRefusers lists the functions of a package that end in a panic, and the verifier's own word.
func findRefusers(files []*ast.File) refusers {
	r := refusers{calls: map[string]bool{"object": true}}
	for _, f := range files {
		for _, d := range f.Decls {
			fd, ok := d.(*ast.FuncDecl)
			if !ok || fd.Body == nil || len(fd.Body.List) == 0 || fd.Type.Results != nil {
				continue
			}
			last, ok := fd.Body.List[len(fd.Body.List)-1].(*ast.ExprStmt)
			if !ok {
				continue
			}
			if name := called(last.X); name == "panic" {
				r.calls[fd.Name.Name] = true
			}
		}
	}
	return r
}

// called names the function or method that an expression calls.
func called(e ast.Expr) string {
	c, ok := e.(*ast.CallExpr)
	if !ok {
		return ""
	}
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// statement says whether s by itself refuses.
func (r refusers) statement(s ast.Stmt) bool {
	e, ok := s.(*ast.ExprStmt)
	return ok && r.calls[called(e.X)]
}

// refuses says whether a block ends in a refusal of the function that it is in.
func (r refusers) refuses(list []ast.Stmt, fn *ast.FuncType, name string) bool {
	if len(list) == 0 {
		return false
	}
	if slices.ContainsFunc(list, r.statement) {
		return true
	}
	last := list[len(list)-1]
	if e, ok := last.(*ast.ExprStmt); ok && called(e.X) == "panic" {
		return true
	}
	ret, ok := last.(*ast.ReturnStmt)
	if !ok || fn.Results == nil || len(ret.Results) == 0 {
		return false
	}
	if len(ret.Results) == 1 && fn.Results.NumFields() > 1 {
		return false // passes another function's results on
	}
	i := 0
	for _, field := range fn.Results.List {
		for range max(1, len(field.Names)) {
			if refusal(ret.Results[i], field.Type, name) {
				return true
			}
			i++
		}
	}
	return false
}

func refusal(e, typ ast.Expr, name string) bool {
	t := typeText(typ)
	if slices.Contains(refusalTypes, t) {
		id, ok := e.(*ast.Ident)
		return !ok || id.Name != "nil"
	}
	if t == "access.Decision" {
		e = ast.Unparen(e)
		if s, ok := e.(*ast.StarExpr); ok {
			e = s.X
		}
		return slices.Contains(refusalCalls, called(e))
	}
	recv, fname, _ := strings.Cut(name, ".")
	want := objections[recv]
	if want == "" {
		want = objections[fname]
	}
	switch {
	case want == "false" && t == "bool":
		id, ok := e.(*ast.Ident)
		return ok && id.Name == "false"
	case want == "string" && t == "string":
		lit, ok := e.(*ast.BasicLit)
		return ok && lit.Kind == token.STRING && lit.Value != `""`
	}
	return false
}

func typeText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + typeText(e.X)
	case *ast.SelectorExpr:
		return typeText(e.X) + "." + e.Sel.Name
	}
	return ""
}
