//! Translations of articles: `GET /articleTranslations`, and `GET /articles/{id}/translations/{locale}` for
//! their text (`ArticleTranslation.json` of zoho/zohodesk-oas).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Html, Id, Integer, Text, Time};
use crate::table::{
    Column, Detail, EventFilter, Group, Identity, Incremental, List, Order, Table, Touch, column, event,
    object,
};

pub(super) const TABLE: Table = Table {
    name: "article_translations",
    group: Group::Knowledge,
    key: &["translationId"],
    title: "Article translations",
    scopes: &["Desk.articles.READ"],
    list: List {
        path: "/api/v1/articleTranslations",
        identity: Identity::Member("translationId"),
        limit: 50,
        sort_by: Some("createdTime"),
        ..List::DEFAULT
    },
    record: Some("/api/v1/articles/{id}/translations/{locale}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Sorted { every_ms: 60 * 60 * 1000, order: Order::Range },
    events: EVENTS,
    touches: TOUCHES,
    columns: COLUMNS,
    notes: "One list call for each 49 translations and one call for each; then, each hour, the list of those \
            that were modified, and every `verify_days` the whole list, for deletes. `id` is the article; \
            its own language is among them. Webhooks bring a translation where their payload has its \
            `locale`, and the list of translations in `articles`.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[event("Article_Translation_Add"), event("Article_Translation_Update")];

/// The article and the `locale` name the record; see `articles` for the members of a payload.
const TOUCHES: &[Touch] = &[Touch { event_prefix: "Article_Translation_", keys: &["articleId", "id"] }];

const COLUMNS: &[Column] = &[
    column("translationId", Id),
    column("id", Id),
    column("articleNumber", Integer),
    column("locale", Text),
    column("sourceLocale", Text),
    column("title", Text),
    column("summary", Text),
    column("answer", Html),
    column("status", Text),
    column("permalink", Text),
    column("permission", Text),
    column("translationState", Text),
    object("translationSource", &[column("locale", Text), column("version", Text)]),
    column("categoryId", Id),
    column("departmentId", Id),
    column("authorId", Id),
    object("author", embedded::AGENT),
    column("ownerId", Id),
    column("modifierId", Id),
    column("latestVersion", Text),
    column("latestVersionStatus", Text),
    column("latestPublishedVersion", Text),
    column("viewCount", Integer),
    column("likeCount", Integer),
    column("dislikeCount", Integer),
    column("commentCount", Integer),
    column("feedbackCount", Integer),
    column("isTrashed", Boolean),
    column("isLocked", Boolean),
    column("tags", Array),
    column("webUrl", Text),
    column("createdTime", Time),
    column("modifiedTime", Time),
];
