//! Rows of history, read where the state is.

use super::limits::PAST_ROWS_PER_JOB;
use super::replica::Replica;
use crate::raft::{Fault, Group};
use nacre_shards::durable::Table;
use nacre_shards::durable::history::Lies;
use nacre_shards::durable::question::{Known, Past, Question, Rows};

/// Reads what a question needs of these rows.
pub async fn read(group: &Group<Replica>, question: &Question, of: Rows) -> Known {
    let known = match question {
        Question::Row { .. } => match of.numbers.last() {
            Some(number) => whole(group, *number, &of).await,
            None => Ok(None),
        }
        .map(Known::Row),
        Question::Previous { id, .. } => previous(group, *id, of).await.map(Known::Row),
        _ => {
            rows(group, &of.numbers, false).await.map(|rows| Known::Page { total: of.total, rows })
        }
    };
    known.unwrap_or_else(|fault| Known::Unreadable(fault.text().to_owned()))
}

/// Rows that were dropped meanwhile are left out.
async fn rows(
    group: &Group<Replica>,
    numbers: &[u64],
    with_content: bool,
) -> Result<Vec<Past>, Fault> {
    let mut all = Vec::with_capacity(numbers.len());
    for numbers in numbers.chunks(PAST_ROWS_PER_JOB) {
        let keys = numbers.iter().map(|number| Past::key(*number)).collect();
        let numbers = numbers.to_vec();
        let read = move |at: usize, value: Option<&[u8]>| {
            let read = value.map(|value| Past::read(numbers[at], value, with_content));
            read.transpose().map_err(|why| format!("row {} of history: {why}", numbers[at]))
        };
        all.extend(group.records(Table::History, keys, read).await?.into_iter().flatten());
    }
    Ok(all)
}

/// A row with its content; `None`: it was dropped meanwhile.
async fn whole(group: &Group<Replica>, number: u64, of: &Rows) -> Result<Option<Box<Past>>, Fault> {
    let Some(mut row) = rows(group, &[number], true).await?.pop() else { return Ok(None) };
    row.content = match row.lies {
        Lies::Here => row.content,
        Lies::Apart => content(group, number).await?,
        Lies::After => match next(group, &row, of).await? {
            Next::Row(next) if next.md5 != row.md5 => return Err(lost(number)),
            Next::Row(next) => match next.lies {
                Lies::Here => next.content,
                _ => content(group, next.number).await?,
            },
            Next::None => of.entry.as_ref().and_then(|entry| row.content_in(entry)),
            Next::Dropped => None,
        },
    };
    // A content goes with its row: it is either there, or both have been dropped meanwhile.
    if row.content.is_none() && !rows(group, &[number], false).await?.is_empty() {
        return Err(lost(number));
    }
    Ok(row.content.is_some().then(|| Box::new(row)))
}

/// What follows a row.
enum Next {
    Row(Box<Past>),
    /// The config as it is.
    None,
    /// A row behind it is gone, and so are all before that one.
    Dropped,
}

/// The next row of the same variant.
async fn next(group: &Group<Replica>, row: &Past, of: &Rows) -> Result<Next, Fault> {
    let newer: Vec<u64> = of.numbers.iter().rev().copied().filter(|n| *n > row.number).collect();
    for numbers in newer.chunks(PAST_ROWS_PER_JOB) {
        let found = rows(group, numbers, true).await?;
        if found.len() < numbers.len() {
            return Ok(Next::Dropped);
        }
        if let Some(next) = found.into_iter().find(|newer| row.is_of_variant(newer)) {
            return Ok(Next::Row(Box::new(next)));
        }
    }
    Ok(Next::None)
}

/// The content of a row that has it apart.
async fn content(group: &Group<Replica>, number: u64) -> Result<Option<String>, Fault> {
    let read = move |_, value: Option<&[u8]>| {
        let read = value.map(Past::read_content).transpose();
        read.map_err(|why| format!("content of row {number} of history: {why}"))
    };
    let mut contents = group.records(Table::Past, vec![Past::key(number)], read).await?;
    Ok(contents.pop().flatten())
}

fn lost(number: u64) -> Fault {
    Fault::Refused(format!("row {number} of history has lost its content; run `nacre verify`"))
}

/// The newest row of that id, else the newest before that number; only that one's content is read.
async fn previous(group: &Group<Replica>, id: u64, of: Rows) -> Result<Option<Box<Past>>, Fault> {
    let mut before = None;
    let mut found = None;
    for chunk in of.numbers.chunks(PAST_ROWS_PER_JOB) {
        for row in rows(group, chunk, false).await? {
            if row.id == id {
                found = Some(row.number);
                break;
            }
            if before.is_none() && row.number < id {
                before = Some(row.number);
            }
        }
        if found.is_some() {
            break;
        }
    }
    match found.or(before) {
        Some(number) => whole(group, number, &of).await,
        None => Ok(None),
    }
}
