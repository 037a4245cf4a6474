//! Everything that is judged by the real apk 2.14.4: the same question put to both.

#[path = "oracle/case.rs"]
mod case;
#[path = "oracle/cases.rs"]
mod cases;
#[path = "oracle/differential.rs"]
mod differential;
#[path = "oracle/every_name.rs"]
mod every_name;
#[path = "oracle/properties.rs"]
mod properties;
#[path = "oracle/recipe_worlds.rs"]
mod recipe_worlds;
#[path = "oracle/stage.rs"]
mod stage;
#[path = "oracle/universe.rs"]
mod universe;
#[path = "oracle/worst.rs"]
mod worst;
