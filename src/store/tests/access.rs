//! Tokens and sessions.

use super::support::*;
use crate::store::*;

fn token(name: &str, hash: &str) -> TokenRow {
    TokenRow {
        name: name.into(),
        hash: hash.into(),
        role: "operator".into(),
        jobs: vec!["deploy-*".into()],
        created_at: at(10),
        expires_at: Some(at(20)),
        last_used_at: None,
        revoked_at: None,
    }
}

fn session(hash: &str, expires: i64) -> SessionRow {
    SessionRow {
        hash: hash.into(),
        kind: "login".into(),
        actor: "session:admin".into(),
        role: "admin".into(),
        created_at: at(1_000_000),
        expires_at: at(expires),
    }
}

on_both! {
    a_token_lives_until_it_is_revoked,
    a_login_link_is_taken_once,
    an_expired_session_is_absent,
}

async fn a_token_lives_until_it_is_revoked(db: &mut Db) {
    db.store.put_token(token("ci", "h1")).await.expect("written");
    let used = TokenRow { last_used_at: Some(at(15)), ..token("ci", "h1") };
    db.store.put_token(used.clone()).await.expect("the same token, changed");
    assert_eq!(db.store.token_by_hash("h1").await, Ok(Some(used)));
    let taken = db.store.put_token(token("ci", "h2")).await;
    assert!(matches!(taken, Err(StoreError::Refused { reason }) if reason.contains("ci")));
    assert_eq!(db.store.revoke_token("ci", at(16)).await, Ok(true));
    assert_eq!(db.store.revoke_token("ci", at(17)).await, Ok(false));
    let found = db.store.token_by_hash("h1").await.expect("readable").expect("there is one");
    assert_eq!(found.revoked_at, Some(at(16)), "though it was looked up before");
    db.store.put_token(token("ci", "h2")).await.expect("the name is free again");
    let tokens = db.store.tokens().await.expect("readable");
    assert_eq!(
        tokens.iter().map(|token| (token.hash.as_str(), token.revoked_at)).collect::<Vec<_>>(),
        [("h1", Some(at(16))), ("h2", None)]
    );
    assert_eq!(db.store.token_by_hash("nobody").await, Ok(None));
}

async fn a_login_link_is_taken_once(db: &mut Db) {
    db.store.put_session(session("s", 1_000_100)).await.expect("written");
    assert_eq!(db.store.session("s").await, Ok(Some(session("s", 1_000_100))));
    let (one, two) = futures_util::join!(db.store.take_session("s"), db.store.take_session("s"));
    assert_eq!([one, two].into_iter().filter(|taken| *taken == Ok(Some(session("s", 1_000_100)))).count(), 1);
    assert_eq!(db.store.session("s").await, Ok(None));
}

async fn an_expired_session_is_absent(db: &mut Db) {
    db.store.put_session(session("s", 1_000_100)).await.expect("written");
    db.store.put_session(session("s", 1_000_200)).await.expect("prolonged");
    db.hand.set(at(1_000_199));
    assert_eq!(db.store.session("s").await, Ok(Some(session("s", 1_000_200))));
    db.hand.set(at(1_000_200));
    assert_eq!(db.store.session("s").await, Ok(None));
    assert_eq!(db.store.take_session("s").await, Ok(None));
}
