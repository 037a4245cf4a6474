//! Everything that is judged by the real apk 2.14.4: the same question put to both.

#[path = "oracle/recipe_worlds.rs"]
mod recipe_worlds;
#[path = "oracle/stage.rs"]
#[expect(dead_code, reason = "the lanes to come use the rest")]
mod stage;
