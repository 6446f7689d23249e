//! Taking apart an operator's SQL.

use crate::config::Engine;
use crate::statement::Statement;

fn check(sql: &str, expected: &str, names: &[&str]) {
    let statement = Statement::parse(sql);
    assert_eq!(statement.render(|index| format!("<{index}>")), expected);
    assert_eq!(statement.names(Engine::Postgres), names);
}

#[test]
fn parameters_are_found_once_and_in_order() {
    check(
        "UPDATE t SET a = :b, c=:d WHERE b=:b;",
        "UPDATE t SET a = <0>, c=<1> WHERE b=<0>",
        &["b", "d"],
    );
    check("(:x_1)", "(<0>)", &["x_1"]);
    let statement = Statement::parse("UPDATE t SET a = :b, c = :d WHERE b = :b AND `:e` = 1");
    let bound = statement.names(Engine::Mysql);
    assert_eq!(bound, ["b", "d", "b"], "its parameters have no numbers");
}

#[test]
fn what_only_looks_like_a_parameter_is_left_alone() {
    for sql in [
        "SELECT ':a', \":b\", 'it''s :c'",
        "SELECT 1::text -- :a\n",
        "SELECT /* :a */ 12:30",
        "SELECT $$ :a $$, $q$ :b $$ :c $q$",
        "SELECT 'ä€ :x' || 'ö'",
        "SELECT ':unclosed",
    ] {
        check(sql, sql.trim(), &[]);
    }
    check("SELECT $1, 'a' || :a::int -- :b", "SELECT $1, 'a' || <0>::int -- :b", &["a"]);
}
