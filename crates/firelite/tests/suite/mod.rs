mod killing;
mod limits;
mod listening;
mod reading;
mod serving;
mod support;
mod writing;
