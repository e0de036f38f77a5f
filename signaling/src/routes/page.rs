//! Lists in pages: newest first, each page naming where the next one begins.

use crate::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 200;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<Uuid>,
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub(super) limit: Option<i64>,
}

/// How many the page has, and one more to know whether there is a next page.
pub(super) fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    match asked.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::input("limit", format!("must be between 1 and {LIMIT_MAX}"))),
    }
}

/// Cuts the one more; the id of the last that is left is the cursor of the next page.
pub(super) fn cut<T>(items: &mut Vec<T>, limit: i64, id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
    let limit = usize::try_from(limit).expect("a limit is small and positive");
    let has_more = items.len() > limit;
    items.truncate(limit);
    items.last().filter(|_| has_more).map(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_the_last_of_the_page_if_there_is_more() {
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let (mut all, mut some) = (ids.clone(), ids.clone());
        assert_eq!(cut(&mut all, 3, |id| *id), None);
        assert_eq!(cut(&mut some, 2, |id| *id), Some(ids[1]));
        assert_eq!(some, ids[..2]);
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err() && limit(None).is_ok());
    }
}
