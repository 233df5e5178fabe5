//! What a person is here: operator, auditor, or nobody in particular. Judged at every question.

use curfew_core::principal::Person;
use curfew_ports::PortError;
use futures_util::future::join_all;

use crate::App;
use crate::errors::Refusal;
use crate::settings::Team;

/// Whether the person may end anybody's access.
pub(crate) async fn is_operator(app: &App, person: &Person) -> Result<bool, Refusal> {
    is_in(app, &app.settings().operators, person).await
}

/// Whether the person may see every request: auditors, and operators.
pub(crate) async fn may_audit(app: &App, person: &Person) -> Result<bool, Refusal> {
    let auditor = is_in(app, &app.settings().auditors, person).await;
    if matches!(auditor, Ok(true)) {
        return auditor;
    }
    let operator = is_operator(app, person).await?;
    if operator { Ok(true) } else { auditor }
}

/// One known membership suffices; without one, a failed look-up leaves the question open.
async fn is_in(app: &App, team: &Team, person: &Person) -> Result<bool, Refusal> {
    if team.people.contains(&person.email) {
        return Ok(true);
    }
    let asked =
        team.groups.iter().map(|group| app.intake.directory.is_member(group, &person.email));
    let answers: Vec<Result<bool, PortError>> = join_all(asked).await;
    if answers.iter().any(|answer| matches!(answer, Ok(true))) {
        return Ok(true);
    }
    match answers.into_iter().find_map(Result::err) {
        Some(error) => Err(Refusal::look_up(&error)),
        None => Ok(false),
    }
}
