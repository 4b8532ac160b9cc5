// SPDX-License-Identifier: GPL-2.0-only
//! The part of Rust's grammar that the attributes need.
use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// An error in the extension's source, and its position.
pub struct Flaw {
    place: Span,
    message: String,
}

impl Flaw {
    pub fn at(place: Span, message: impl Into<String>) -> Flaw {
        Flaw { place, message: message.into() }
    }

    /// Return a `::core::compile_error!` at that position.
    pub fn tokens(self) -> TokenStream {
        // A path from the root, because an extension may define a macro of that name.
        let mut words: Vec<TokenTree> = vec![
            Punct::new(':', Spacing::Joint).into(),
            Punct::new(':', Spacing::Alone).into(),
            Ident::new("core", self.place).into(),
            Punct::new(':', Spacing::Joint).into(),
            Punct::new(':', Spacing::Alone).into(),
            Ident::new("compile_error", self.place).into(),
            Punct::new('!', Spacing::Alone).into(),
            Group::new(
                Delimiter::Parenthesis,
                TokenTree::from(Literal::string(&self.message)).into(),
            )
            .into(),
            Punct::new(';', Spacing::Alone).into(),
        ];
        for word in &mut words {
            word.set_span(self.place);
        }
        words.into_iter().collect()
    }
}

pub fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

pub fn is_word(token: Option<&TokenTree>, wanted: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident.to_string() == wanted)
}

/// The arguments of an attribute: a text, and `default = number`.
#[derive(Default)]
pub struct Arguments {
    pub text: Option<String>,
    pub number: Option<i32>,
}

impl Arguments {
    pub fn none(arguments: TokenStream, attribute: &str) -> Result<(), Flaw> {
        match arguments.into_iter().next() {
            None => Ok(()),
            Some(token) => {
                Err(Flaw::at(token.span(), format!("#[{attribute}] takes no arguments")))
            }
        }
    }

    pub fn parse(arguments: TokenStream) -> Result<Arguments, Flaw> {
        const FORM: &str = "expected a target in quotes, `default = NUMBER`, or both";
        let mut found = Arguments::default();
        let tokens: Vec<TokenTree> = arguments.into_iter().collect();
        for part in tokens.split(|token| is_punct(Some(token), ',')) {
            match part {
                [] => {}
                [TokenTree::Literal(text)] if found.text.is_none() => {
                    found.text = Some(plain_text(text)?);
                }
                [word, sign, number @ ..]
                    if is_word(Some(word), "default") && is_punct(Some(sign), '=') =>
                {
                    let number: String = number.iter().map(ToString::to_string).collect();
                    let number = number.parse().map_err(|_| Flaw::at(word.span(), FORM))?;
                    found.number = Some(number);
                }
                [other, ..] => return Err(Flaw::at(other.span(), FORM)),
            }
        }
        Ok(found)
    }
}

/// Return a target's text, which may need no escapes.
fn plain_text(literal: &Literal) -> Result<String, Flaw> {
    let text = literal.to_string();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .filter(|text| !text.is_empty() && !text.contains(['\\', '"']))
        .filter(|text| text.is_ascii() && text.len() < 120)
        .map(String::from)
        .ok_or_else(|| Flaw::at(literal.span(), "expected a target, as \"kind's place\""))
}

/// The function under an attribute.
pub struct Function {
    pub name: String,
    context: TokenStream,
}

impl Function {
    pub fn parse(attribute: &str, input: TokenStream) -> Result<Function, Flaw> {
        let tokens: Vec<TokenTree> = input.into_iter().collect();
        let form = format!("#[{attribute}] must precede a function: fn name(context: &Type)");
        let flaw = |span| Flaw::at(span, form.clone());
        let at = tokens
            .iter()
            .position(|token| is_word(Some(token), "fn"))
            .ok_or_else(|| flaw(Span::call_site()))?;
        for token in &tokens[..at] {
            if ["unsafe", "async", "const", "extern"].iter().any(|w| is_word(Some(token), w)) {
                return Err(flaw(token.span()));
            }
        }
        let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(parameters))) =
            (tokens.get(at + 1), tokens.get(at + 2))
        else {
            return Err(flaw(tokens[at].span()));
        };
        if name.to_string().len() > 63 {
            return Err(Flaw::at(name.span(), "a program's name has at most 63 letters"));
        }
        let context = context_type(parameters).ok_or_else(|| flaw(parameters.span()))?;
        Ok(Function { name: name.to_string(), context })
    }

    /// Parse code and replace `__REX_CONTEXT__` in it by the type of the function's parameter.
    pub fn with_context(&self, code: &str) -> Result<TokenStream, Flaw> {
        Ok(replace(parse(code)?, "__REX_CONTEXT__", &self.context))
    }
}

/// Return `Type` of `(name: &mut Type)`; None if the parameters have another form.
fn context_type(parameters: &Group) -> Option<TokenStream> {
    let mut tokens = parameters.stream().into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_punct(Some(&token), ':') {
            break;
        }
    }
    if !is_punct(tokens.next().as_ref(), '&') {
        return None;
    }
    if is_punct(tokens.peek(), '\'') {
        tokens.nth(1); // a lifetime: a quote and a word
    }
    if is_word(tokens.peek(), "mut") {
        tokens.next();
    }
    let mut depth = 0;
    let mut found = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth -= 1,
            TokenTree::Punct(punct) if punct.as_char() == ',' && depth == 0 => break,
            // A block would put the extension's code inside the generated code.
            TokenTree::Group(_) => return None,
            _ => {}
        }
        found.push(token);
    }
    (!found.is_empty()).then(|| found.into_iter().collect())
}

pub fn parse(code: &str) -> Result<TokenStream, Flaw> {
    code.parse().map_err(|error| Flaw::at(Span::call_site(), format!("{error}")))
}

/// Replace every identifier `placeholder` in `code` by `tokens`.
pub fn replace(code: TokenStream, placeholder: &str, tokens: &TokenStream) -> TokenStream {
    code.into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ref ident) if ident.to_string() == placeholder => tokens.clone(),
            TokenTree::Group(group) => {
                let inner = replace(group.stream(), placeholder, tokens);
                let mut inner = Group::new(group.delimiter(), inner);
                inner.set_span(group.span());
                TokenTree::from(inner).into()
            }
            other => other.into(),
        })
        .collect()
}

/// The static under `#[rex_map]`: `before static NAME: type = value;`.
pub struct Static {
    tokens: Vec<TokenTree>,
    name: usize,
    colon: usize,
    equals: usize,
    end: usize,
}

impl Static {
    pub fn parse(input: TokenStream) -> Result<Static, Flaw> {
        let tokens: Vec<TokenTree> = input.into_iter().collect();
        let flaw = || {
            let place = tokens.first().map_or(Span::call_site(), TokenTree::span);
            Flaw::at(place, "#[rex_map] must precede `static NAME: Type = Type::new(..);`")
        };
        let name = tokens.iter().position(|t| is_word(Some(t), "static")).ok_or_else(flaw)? + 1;
        let (colon, end) = (name + 1, tokens.len().saturating_sub(1));
        let equals = tokens.iter().position(|token| is_punct(Some(token), '=')).ok_or_else(flaw)?;
        let named = matches!(tokens.get(name), Some(TokenTree::Ident(_)));
        if !named || is_word(tokens.get(name), "mut") || !is_punct(tokens.get(colon), ':') {
            return Err(flaw());
        }
        if equals <= colon + 1 || end <= equals + 1 || !is_punct(tokens.get(end), ';') {
            return Err(flaw());
        }
        Ok(Static { tokens, name, colon, equals, end })
    }

    pub fn as_map(self) -> Result<TokenStream, Flaw> {
        let name = self.tokens[self.name].to_string().to_lowercase();
        if name.len() > 31 {
            return Err(Flaw::at(
                self.tokens[self.name].span(),
                "a map's name has at most 31 letters",
            ));
        }
        let before = format!(
            "#[unsafe(link_section = \".rex.maps\")] #[unsafe(export_name = \"rex_map.{name}\")]"
        );
        let group = |tokens: &[TokenTree]| {
            TokenTree::from(Group::new(
                Delimiter::Parenthesis,
                tokens.iter().cloned().collect(),
            ))
        };
        let kind = &self.tokens[self.colon + 1..self.equals];
        if let Some(block) = kind.iter().find_map(crate::plain::block) {
            return Err(Flaw::at(block, "no code in a type: name a constant"));
        }
        let kind: TokenStream = kind.iter().cloned().collect();
        let mut output = parse(&before)?;
        output.extend(self.tokens[..=self.equals].iter().cloned());
        output.extend([group(&self.tokens[self.equals + 1..self.end])]);
        output.extend(parse(&format!(".named(\"{name}\");"))?);
        // Only maps may get into the table.
        let check = parse(
            "const _: () = { const fn is_map<T: ::rex::expansion::Map>() {}
             is_map::<__REX_MAP__>() };",
        )?;
        output.extend(replace(check, "__REX_MAP__", &kind));
        Ok(output)
    }
}
