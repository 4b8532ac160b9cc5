// SPDX-License-Identifier: GPL-2.0-only
//! `#[rex_plain]`.
use proc_macro::{Delimiter, Span, TokenStream, TokenTree};

use crate::item::{Flaw, is_punct, is_word, parse, replace};

/// A field: its name, and its type as written in the source.
struct Field {
    name: String,
    kind: TokenStream,
}

pub fn plain(input: TokenStream) -> Result<TokenStream, Flaw> {
    let tokens: Vec<TokenTree> = input.clone().into_iter().collect();
    let flaw = |span| Flaw::at(span, "#[rex_plain] must precede `struct Name { field: Type, .. }`");
    let at = tokens
        .iter()
        .position(|token| is_word(Some(token), "struct"))
        .ok_or_else(|| flaw(Span::call_site()))?;
    // Another attribute could replace the structure.
    only_attributes(&tokens[..at], &["doc", "derive", "repr", "allow"])?;
    let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
        (tokens.get(at + 1), tokens.get(at + 2))
    else {
        return Err(flaw(tokens[at].span()));
    };
    if body.delimiter() != Delimiter::Brace {
        return Err(flaw(body.span()));
    }
    let fields = fields(body.stream())?;
    if fields.is_empty() {
        return Err(flaw(body.span()));
    }
    let mut output: TokenStream = parse("#[repr(C)] #[derive(Clone, Copy)]")?;
    output.extend(input);
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    // Check that the structure of this name has exactly these fields, with these types.
    let whole = format!("const _: fn({name}) = |{name} {{ {} }}| {{", names.join(", "));
    let mut body = TokenStream::new();
    let mut sum = parse("0")?;
    for field in &fields {
        let with_type = |code: &str| -> Result<TokenStream, Flaw> {
            Ok(replace(parse(code)?, "__REX_FIELD__", &field.kind))
        };
        body.extend(with_type(&format!("let _: __REX_FIELD__ = {};", field.name))?);
        sum.extend(with_type("+ ::core::mem::size_of::<__REX_FIELD__>()")?);
        output.extend(with_type(
            "const _: () = { const fn is_plain<T: ::rex::plain::Plain>() {}
             is_plain::<__REX_FIELD__>() };",
        )?);
    }
    output.extend(parse(&format!("{whole} __REX_BODY__ }};"))?.into_iter().flat_map(
        |token| -> TokenStream {
            match token {
                TokenTree::Group(ref group) if group.to_string().contains("__REX_BODY__") => {
                    TokenTree::from(proc_macro::Group::new(group.delimiter(), body.clone())).into()
                }
                other => other.into(),
            }
        },
    ));
    let checks = format!(
        "const _: () = ::core::assert!(
            ::core::mem::size_of::<{name}>() == __REX_SUM_OF_SIZES__,
            \"the fields leave gaps: order them by size, or add fields that fill the gaps\",
        );
        const _: () = ::core::assert!(
            ::core::mem::align_of::<{name}>() <= 8, \"maps are aligned to 8 bytes\",
        );
        unsafe impl ::rex::plain::Plain for {name} {{}}"
    );
    output.extend(replace(parse(&checks)?, "__REX_SUM_OF_SIZES__", &sum));
    Ok(output)
}

/// Refuse other attributes: they could remove the fields that are checked here.
fn only_attributes(tokens: &[TokenTree], allowed: &[&str]) -> Result<(), Flaw> {
    for (index, token) in tokens.iter().enumerate() {
        if !is_punct(Some(token), '#') {
            continue;
        }
        let name = match tokens.get(index + 1) {
            Some(TokenTree::Group(group)) => group.stream().into_iter().next(),
            _ => None,
        };
        if !allowed.iter().any(|word| is_word(name.as_ref(), word)) {
            let said = format!("with #[rex_plain] there may be only {}", allowed.join(", "));
            return Err(Flaw::at(token.span(), said));
        }
    }
    Ok(())
}

fn fields(body: TokenStream) -> Result<Vec<Field>, Flaw> {
    let tokens: Vec<TokenTree> = body.into_iter().collect();
    let mut parts: Vec<Vec<TokenTree>> = vec![Vec::new()];
    let mut depth = 0;
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth -= 1,
            _ => {}
        }
        if is_punct(Some(&token), ',') && depth == 0 {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(token);
        }
    }
    let mut found = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let form = || Flaw::at(part[0].span(), "expected `name: Type`");
        let colon = part.iter().position(|token| is_punct(Some(token), ':')).ok_or_else(form)?;
        only_attributes(&part[..colon], &["doc"])?;
        let name = match colon.checked_sub(1).and_then(|index| part.get(index)) {
            Some(TokenTree::Ident(name)) => name.to_string(),
            _ => return Err(form()),
        };
        let kind = &part[colon + 1..];
        if kind.is_empty() {
            return Err(form());
        }
        if let Some(block) = kind.iter().find_map(block) {
            return Err(Flaw::at(block, "no code in a type: name a constant"));
        }
        found.push(Field { name, kind: kind.iter().cloned().collect() });
    }
    Ok(found)
}

/// Return the position of code in braces inside a type, at any depth.
pub fn block(token: &TokenTree) -> Option<Span> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.span()),
        TokenTree::Group(group) => group.stream().into_iter().find_map(|token| block(&token)),
        _ => None,
    }
}
