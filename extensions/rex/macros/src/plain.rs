// SPDX-License-Identifier: GPL-2.0-only
//! `#[rex_plain]`.
use proc_macro::{Delimiter, Span, TokenStream, TokenTree};

use crate::item::{Flaw, is_punct, is_word};

pub fn plain(input: TokenStream) -> Result<TokenStream, Flaw> {
    let tokens: Vec<TokenTree> = input.clone().into_iter().collect();
    let flaw = |span| Flaw::at(span, "#[rex_plain] stands before `struct Name { field: Type, .. }`");
    let at = tokens
        .iter()
        .position(|token| is_word(Some(token), "struct"))
        .ok_or_else(|| flaw(Span::call_site()))?;
    let (Some(name), Some(TokenTree::Group(body))) = (tokens.get(at + 1), tokens.get(at + 2)) else {
        return Err(flaw(tokens[at].span()));
    };
    if body.delimiter() != Delimiter::Brace {
        return Err(flaw(body.span()));
    }
    let fields = field_types(body.stream());
    if fields.is_empty() {
        return Err(flaw(body.span()));
    }
    let mut output: TokenStream = parse("#[repr(C)] #[derive(Clone, Copy)]")?;
    output.extend(input);
    // Whatever stands in a type stands in the structure, too, where the compiler sees
    // that it is the extension's.
    let sizes: Vec<String> = fields.iter().map(|kind| format!("size_of::<{kind}>()")).collect();
    let bounds: Vec<String> =
        fields.iter().map(|kind| format!("{kind}: ::rex::plain::Plain")).collect();
    output.extend(parse(&format!(
        "const _: () = assert!(
            size_of::<{name}>() == {},
            \"the fields leave gaps: order them by size, or name what fills a gap\",
        );
        const _: () = assert!(align_of::<{name}>() <= 8, \"maps are aligned to 8 bytes\");
        unsafe impl ::rex::plain::Plain for {name} where {} {{}}",
        sizes.join(" + "),
        bounds.join(", "),
    ))?);
    Ok(output)
}

fn parse(code: &str) -> Result<TokenStream, Flaw> {
    code.parse().map_err(|error| Flaw::at(Span::call_site(), format!("{error}")))
}

/// The fields' types as text.
fn field_types(body: TokenStream) -> Vec<String> {
    let mut fields = Vec::new();
    let mut kind: Option<TokenStream> = None;
    let mut depth = 0;
    for token in body {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
            TokenTree::Punct(punct) if punct.as_char() == '>' => depth -= 1,
            _ => {}
        }
        if is_punct(Some(&token), ',') && depth == 0 {
            fields.extend(kind.take().map(|kind| kind.to_string()));
        } else if let Some(kind) = &mut kind {
            kind.extend([token]);
        } else if is_punct(Some(&token), ':') {
            kind = Some(TokenStream::new());
        }
    }
    fields.extend(kind.map(|kind| kind.to_string()));
    fields
}
