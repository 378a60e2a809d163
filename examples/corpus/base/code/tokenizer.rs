//! A tokenizer for a toy query language, with positions for error messages.

use std::{iter::Peekable, str::CharIndices};

#[derive(Debug, Clone, PartialEq)]
enum Token<'s> {
    Word(&'s str),
    Number(f64),
    Text(&'s str), // between single quotes
    Compare(&'s str),
    Open,
    Close,
}

struct Lexer<'s> {
    source: &'s str,
    chars: Peekable<CharIndices<'s>>,
}

impl<'s> Lexer<'s> {
    /// Advance while the test holds and return the end of what was consumed.
    fn take_while(&mut self, test: impl Fn(char) -> bool) -> usize {
        while self.chars.next_if(|&(_, c)| test(c)).is_some() {}
        self.chars.peek().map_or(self.source.len(), |&(i, _)| i)
    }
}

impl<'s> Iterator for Lexer<'s> {
    type Item = Result<(usize, Token<'s>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take_while(char::is_whitespace);
        let (start, first) = self.chars.next()?;
        let token = match first {
            '(' => Token::Open,
            ')' => Token::Close,
            '<' | '>' | '=' => Token::Compare(&self.source[start..self.take_while(|c| c == '=')]),
            '\'' => {
                let end = self.take_while(|c| c != '\'');
                if self.chars.next().is_none() {
                    return Some(Err(format!("text opened at {start} is never closed")));
                }
                Token::Text(&self.source[start + 1..end])
            }
            c if c.is_ascii_digit() => {
                let end = self.take_while(|c| c.is_ascii_digit() || c == '.');
                let Ok(value) = self.source[start..end].parse() else {
                    return Some(Err(format!("bad number at {start}")));
                };
                Token::Number(value)
            }
            c if c.is_alphabetic() => {
                Token::Word(&self.source[start..self.take_while(char::is_alphanumeric)])
            }
            other => return Some(Err(format!("unexpected {other:?} at {start}"))),
        };
        Some(Ok((start, token)))
    }
}

fn main() {
    for query in ["depth >= 3.5 and (hull = 'oak plank')", "length < 1.2.3", "name = 'open"] {
        let lexer = Lexer { source: query, chars: query.char_indices().peekable() };
        match lexer.collect::<Result<Vec<_>, _>>() {
            Ok(tokens) => println!("{tokens:?}"),
            Err(problem) => println!("{query}: {problem}"),
        }
    }
}
