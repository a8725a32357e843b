//! How it looks: on every screen, by keyboard, read aloud, and in pictures.

use std::path::Path;

use super::*;

#[test]
fn it_fits_every_screen_and_every_hand() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start();
    under_load(&server, 2, || {
        log_in(&mut browser, &server);
        // Figures take more room than the dashes of an idle server.
        browser.until(
            "times are known",
            "/ (µs|ms)/.test(document.querySelector('#endpoints').innerText)",
        );
        browser.eval("document.querySelector('#account-id').focus()");
        browser.write("acme/player-0");
        browser.press("Enter");
        browser.until(
            "the account is found",
            "!document.querySelector('#account').hidden",
        );
        for width in [360, 390, 768, 1280, 1920] {
            browser.resize(width, 900);
            let beyond = browser.eval("document.documentElement.scrollWidth - window.innerWidth");
            assert!(
                beyond.as_i64().unwrap() <= 0,
                "{width} px: {beyond} px beyond"
            );
        }
    });

    browser.resize(1280, 900);
    let background = "getComputedStyle(document.body).backgroundColor";
    browser.prefer("light");
    let light = browser.eval(background);
    browser.prefer("dark");
    let dark = browser.eval(background);
    assert_ne!(light, dark);
    let choose = |theme: &str| {
        format!(
            "(() => {{ const theme = document.querySelector('#theme'); theme.value = '{theme}'; \
             theme.dispatchEvent(new Event('change')); return {background}; }})()"
        )
    };
    assert_eq!(browser.eval(&choose("light")), light);
    assert_eq!(browser.eval(&choose("dark")), dark);

    // By keyboard alone: everything that does something is reached, and is seen to be.
    let mut reached: Vec<String> = Vec::new();
    browser.eval("document.activeElement.blur(); window.scrollTo(0, 0); document.querySelector('.skip').focus()");
    for _ in 0..40 {
        let at = browser.eval(
            "(() => { const now = document.activeElement; const style = getComputedStyle(now); \
             return [now.id || now.className.baseVal || now.className, style.outlineStyle]; })()",
        );
        let name = at[0].as_str().unwrap().to_owned();
        if !name.is_empty() {
            assert_ne!(at[1], "none", "{name} has no visible focus");
        }
        reached.push(name);
        browser.press("Tab");
    }
    for name in [
        "skip",
        "theme",
        "log-out",
        "picture",
        "books-refresh",
        "account-id",
    ] {
        assert!(
            reached.iter().any(|found| found == name),
            "{name}: {reached:?}"
        );
    }
    browser.eval("document.querySelector('#chart-requests .picture').focus()");
    browser.press("ArrowLeft");
    let heard = browser.text("#announcements");
    assert!(heard.contains("s ago: answered "), "{heard}");

    // What has no words for those who do not see it.
    let nameless = browser.eval(
        "[...document.querySelectorAll('table:not(:has(caption)), svg.picture:not([aria-label]), \
          th:not([scope]), section:not([aria-labelledby])')].map((found) => found.outerHTML) \
         .concat([...document.querySelectorAll('input, select')].filter((field) => !field.labels.length) \
         .map((field) => field.id))",
    );
    assert_eq!(nameless, Value::Array(Vec::new()));

    assert_eq!(browser.complaints(), [] as [&str; 0]);
}

/// Writes the pictures of `docs/dashboard.md` and two of a phone, to be made smaller by hand
/// (`pngquant 64`): `DASHBOARD_PICTURES=DIR cargo test --test dashboard_browser -- --ignored`.
/// It plays for two minutes, so that the charts are full.
#[test]
#[ignore = "writes pictures"]
fn pictures_of_it() {
    let folder = std::env::var("DASHBOARD_PICTURES").expect("DASHBOARD_PICTURES: a directory");
    let mut browser = Browser::start().expect("Chromium");
    let server = Server::start();
    browser.resize(1280, 900);
    under_load(&server, 6, || {
        log_in(&mut browser, &server);
        thread::sleep(Duration::from_secs(122));
        browser.eval("document.querySelector('#account-id').focus()");
        browser.write("acme/player-3");
        browser.press("Enter");
        browser.until(
            "the account is found",
            "!document.querySelector('#account').hidden",
        );
        browser.eval("document.activeElement.blur(); window.scrollTo(0, 0)");
        for (width, name) in [(1280, "dashboard"), (390, "phone")] {
            for scheme in ["light", "dark"] {
                browser.prefer(scheme);
                browser.resize(width, 900);
                thread::sleep(Duration::from_secs(2));
                browser.picture(Path::new(&format!("{folder}/{name}-{scheme}.png")));
            }
        }
    });
}
