//! Keys that were put to use, as the servers use them before they start.

use super::report::Finding;

/// Stands in the servers' words for the account that they run as.
const ACCOUNT: &str = "<its address>";

/// A key that was used for what it is for: what came of it, or the servers' words. They name the way out in backticks.
pub(crate) fn judge(used: &Result<String, String>, account: Option<&str>, part: &str) -> Finding {
    match used {
        Ok(said) => Finding::passed(said),
        Err(why) => {
            let finding = Finding::failed(why);
            let commands = commands(why, account.unwrap_or(ACCOUNT));
            if commands.is_empty() {
                finding.mend(format!("curfew config check {part}"))
            } else {
                finding.mends(commands)
            }
        }
    }
}

/// What stands in backticks and is more than a name.
fn commands(text: &str, account: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|it| it.contains(' ')).map(|it| it.replace(ACCOUNT, account)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn the_way_out_that_the_servers_name_is_the_mend_with_the_account_in_it() {
        let judged = |why: &str| judge(&Err(why.to_owned()), Some("a@x"), "controller");
        let finding = judged(
            "factsKey.kms: 403: needs p, which `gcloud kms keys add-iam-policy-binding k --member serviceAccount:<its address>` gives it",
        );
        assert_eq!(finding.outcome, Outcome::Failed);
        let mend = "gcloud kms keys add-iam-policy-binding k --member serviceAccount:a@x";
        assert_eq!(finding.mend, [mend]);
        assert_eq!(judged("run `chmod 600 f`, see `keys`").mend, ["chmod 600 f"]);
        assert_eq!(judged("reading `keys` failed").mend, ["curfew config check controller"]);
        assert_eq!(judge(&Ok("opens".into()), None, "x"), Finding::passed("opens"));
    }
}
