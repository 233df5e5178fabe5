//! The pages in a real browser, Chromium: what a person does with them, with and without a mouse, and whether they
//! can be read by everybody.

mod chromium;
mod looks;
mod use_of_pages;
