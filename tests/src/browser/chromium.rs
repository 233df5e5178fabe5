//! Chromium behind its driver, one of each for every test.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::eventually;

/// A page comes at once; a machine that compiles meanwhile takes longer.
const SOON: Duration = Duration::from_secs(30);

/// How the pages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    /// A wide window, light colours.
    Desk,
    /// A wide window, dark colours.
    DarkDesk,
    /// A phone held upright, light colours.
    Phone,
    /// A phone held upright, dark colours.
    DarkPhone,
}

impl Screen {
    pub(super) const ALL: [Self; 4] = [Self::Desk, Self::DarkDesk, Self::Phone, Self::DarkPhone];

    fn is_phone(self) -> bool {
        matches!(self, Self::Phone | Self::DarkPhone)
    }

    fn is_dark(self) -> bool {
        matches!(self, Self::DarkDesk | Self::DarkPhone)
    }
}

/// A browser with nothing in it yet. Ends with the value.
pub(super) struct Browser {
    driver: Child,
    pub(super) page: Client,
    _profile: TempDir,
}

impl Browser {
    /// `None` where the test's runner found no Chromium.
    pub(super) async fn open(screen: Screen) -> Option<Self> {
        let driver_path = PathBuf::from(told("CURFEW_TEST_CHROMEDRIVER")?);
        let chromium = told("CURFEW_TEST_CHROMIUM")?;
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(driver_path)
            .arg("--port=0")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = told_port(driver.stdout.take().unwrap());
        let at = format!("http://127.0.0.1:{port}");
        let wanted = capabilities(&chromium, profile.path().to_str().unwrap(), screen);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted);
        let connect = || async { builder.connect(&at).await.ok() };
        let page = eventually("Chromium answers", SOON, connect).await;
        Some(Self { driver, page, _profile: profile })
    }

    pub(super) async fn goto(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    pub(super) async fn click(&self, css: &str) {
        self.page.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into whatever has the focus, as a keyboard does.
    pub(super) async fn press(&self, keys: &str) {
        self.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// The text that a reader sees, once it contains `words`.
    pub(super) async fn reads(&self, words: &str) -> String {
        let look = || async {
            let text = self.text().await?;
            text.contains(words).then_some(text)
        };
        eventually(&format!("the page says {words:?}"), SOON, look).await
    }

    /// `None` while the page is being replaced.
    async fn text(&self) -> Option<String> {
        self.page.find(Locator::Css("body")).await.ok()?.text().await.ok()
    }

    pub(super) async fn ask(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A killed driver leaves its browser behind; both are in one process group, which is nobody else's.
        let group = format!("-{}", self.driver.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        self.driver.wait().unwrap();
        assert!(killed.unwrap().success(), "the browser may still be running");
    }
}

/// What the test's runner found; in CI it must have.
#[expect(
    clippy::print_stderr,
    reason = "a test that did not run must not look like one that passed"
)]
pub(super) fn told(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        let ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!ci, "{variable} is not set, and CI needs it");
        eprintln!("NOT RUN: {variable} is not set");
    }
    value
}

fn capabilities(chromium: &str, profile: &str, screen: Screen) -> Capabilities {
    let mut arguments: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(format!("--user-data-dir={profile}"));
    let scheme = i32::from(!screen.is_dark());
    arguments.push(format!("--blink-settings=preferredColorScheme={scheme}"));
    let mut options = json!({"binary": chromium, "args": arguments});
    if screen.is_phone() {
        options["mobileEmulation"] =
            json!({"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0}});
    }
    [("goog:chromeOptions".to_owned(), options)].into_iter().collect()
}

/// The port that the driver has chosen, as it says when it listens there. What else it says is read to its end, so that it
/// never waits for a reader.
fn told_port(output: ChildStdout) -> u16 {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("the driver says where it listens")
}
