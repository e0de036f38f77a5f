//! Sign-in links and console sessions.

use crate::auth::{Member, Role};
use crate::secret::Secret;
use billing::TenantId;
use billing::db::{Db, DbError, Transaction};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

/// How long a sign-in link waits to be used.
pub const LINK_TTL: SignedDuration = SignedDuration::from_hours(24);
/// How long a console session lasts.
pub const SESSION_TTL: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Adds a member to the tenant of the scope.
pub async fn insert_member(tx: &Transaction, member: &Member, now: Timestamp) -> Result<(), DbError> {
    tx.run(
        "insert into member (tenant_id, member_id, name, role, created_at)
         values (tuppence_tenant(), $1, $2, $3, $4)",
        &[&member.member_id, &member.name, &member.role.as_str(), &now],
    )
    .await?;
    Ok(())
}

/// The tenant's first owner.
pub async fn first_owner(tx: &Transaction) -> Result<Option<Uuid>, DbError> {
    let row = tx
        .optional(
            "select member_id from member
             where tenant_id = tuppence_tenant() and role = 'owner'
             order by member_id limit 1",
            &[],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Adds a link with which the member can sign in once.
pub async fn insert_link(
    tx: &Transaction,
    link: &Secret,
    member_id: Uuid,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.run(
        "insert into sign_in_link (tenant_id, link_hash, member_id, created_at, expires_at)
         values (tuppence_tenant(), $1, $2, $3, $4)",
        &[&link.hash_hex(), &member_id, &now, &(now + LINK_TTL)],
    )
    .await?;
    Ok(())
}

/// Ends every link of the tenant that has not been used.
pub async fn use_up_links(tx: &Transaction, now: Timestamp) -> Result<(), DbError> {
    tx.run(
        "update sign_in_link set used_at = $1 where tenant_id = tuppence_tenant() and used_at is null",
        &[&now],
    )
    .await?;
    Ok(())
}

/// Uses up the link and begins a session, or does neither because the link is unknown, used or expired.
pub async fn sign_in(db: &Db, link: &Secret, session: &Secret, now: Timestamp) -> Result<bool, DbError> {
    let Some(tenant) = tenant_of_link(db, link).await? else { return Ok(false) };
    let tx = db.tenant(tenant).await?;
    let Some(member_id) = use_link(&tx, link, now).await? else { return Ok(false) };
    tx.run(
        "insert into console_session (tenant_id, session_hash, member_id, created_at, expires_at)
         values (tuppence_tenant(), $1, $2, $3, $4)",
        &[&session.hash_hex(), &member_id, &now, &(now + SESSION_TTL)],
    )
    .await?;
    tx.commit().await?;
    Ok(true)
}

async fn tenant_of_link(db: &Db, link: &Secret) -> Result<Option<TenantId>, DbError> {
    let tx = db.presented(&link.hash()).await?;
    let row =
        tx.optional("select tenant_id from sign_in_link where link_hash = $1", &[&link.hash_hex()]).await?;
    tx.commit().await?;
    Ok(row.map(|row| TenantId(row.get(0))))
}

/// Two at once meet at the row: one of them finds it used.
async fn use_link(tx: &Transaction, link: &Secret, now: Timestamp) -> Result<Option<Uuid>, DbError> {
    let row = tx
        .optional(
            "update sign_in_link set used_at = $2
             where tenant_id = tuppence_tenant() and link_hash = $1 and used_at is null and expires_at > $2
             returning member_id",
            &[&link.hash_hex(), &now],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Whose session is it, if it is neither over nor revoked?
pub async fn find(db: &Db, session: &Secret, now: Timestamp) -> Result<Option<(TenantId, Member)>, DbError> {
    let tx = db.presented(&session.hash()).await?;
    let row = tx
        .optional(
            "select tenant_id, member_id from console_session
             where session_hash = $1 and revoked_at is null and expires_at > $2",
            &[&session.hash_hex(), &now],
        )
        .await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(None) };
    let (tenant, member_id) = (TenantId(row.get(0)), row.get(1));
    Ok(find_member(db, tenant, member_id).await?.map(|member| (tenant, member)))
}

async fn find_member(db: &Db, tenant: TenantId, member_id: Uuid) -> Result<Option<Member>, DbError> {
    let tx = db.tenant(tenant).await?;
    let row = tx
        .optional(
            "select member_id, name, role from member where tenant_id = tuppence_tenant() and member_id = $1",
            &[&member_id],
        )
        .await?;
    tx.commit().await?;
    row.map(member).transpose()
}

fn member(row: Row) -> Result<Member, DbError> {
    let role: &str = row.get("role");
    let role = Role::from_stored(role).ok_or_else(|| DbError::Stored(format!("the role {role}")))?;
    Ok(Member { member_id: row.get("member_id"), name: row.get("name"), role })
}

/// Ends a session at once.
pub async fn revoke(tx: &Transaction, session: &Secret, now: Timestamp) -> Result<(), DbError> {
    tx.run(
        "update console_session set revoked_at = $2
         where tenant_id = tuppence_tenant() and session_hash = $1 and revoked_at is null",
        &[&session.hash_hex(), &now],
    )
    .await?;
    Ok(())
}
