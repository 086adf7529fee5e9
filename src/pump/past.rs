//! Rows of history, read where the state is.

use super::limits::PAST_ROWS_PER_JOB;
use super::replica::Replica;
use crate::raft::{Fault, Group};
use nacre_shards::durable::Table;
use nacre_shards::durable::question::{Known, Past, Question};

/// Reads what a question needs of these rows, `(all there are, those to look at)`.
pub async fn read(
    group: &Group<Replica>,
    question: &Question,
    (total, numbers): (usize, Vec<u64>),
) -> Known {
    let known = match question {
        Question::Row { .. } => {
            rows(group, numbers, true).await.map(|mut rows| Known::Row(rows.pop().map(Box::new)))
        }
        Question::Previous { id, .. } => previous(group, *id, numbers).await,
        _ => rows(group, numbers, false).await.map(|rows| Known::Page { total, rows }),
    };
    known.unwrap_or_else(|fault| Known::Unreadable(fault.text().to_owned()))
}

/// Rows that were dropped meanwhile are left out.
async fn rows(
    group: &Group<Replica>,
    numbers: Vec<u64>,
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

/// The newest row of that id, else the newest before that number; only that one's content is read.
async fn previous(group: &Group<Replica>, id: u64, numbers: Vec<u64>) -> Result<Known, Fault> {
    let mut before = None;
    let mut found = None;
    for chunk in numbers.chunks(PAST_ROWS_PER_JOB) {
        for row in rows(group, chunk.to_vec(), false).await? {
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
    let number = found.or(before);
    let mut row = rows(group, number.into_iter().collect(), true).await?;
    Ok(Known::Row(row.pop().map(Box::new)))
}
