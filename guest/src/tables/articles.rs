//! Articles: `GET /articles`, and `GET /articles/{id}` for their text (`zoho-desk-api.md` §4.7).

use crate::embedded;
use crate::table::Type::{Array, Boolean, Html, Id, Integer, Text, Time};
use crate::table::{
    Column, Detail, EventFilter, Group, Incremental, List, MODIFIED, Table, Touch, column, event, object,
};

pub(super) const TABLE: Table = Table {
    name: "articles",
    group: Group::Knowledge,
    title: "Articles",
    scopes: &["Desk.articles.READ", "Desk.search.READ"],
    list: List {
        path: "/api/v1/articles",
        limit: 50,
        sort_by: Some("createdTime"),
        optional_parameters: &["sortBy"],
        ..List::DEFAULT
    },
    record: Some("/api/v1/articles/{id}"),
    detail: Some(Detail::DEFAULT),
    incremental: Incremental::Search { path: "/api/v1/articles/search", cursor_fields: &[MODIFIED] },
    events: EVENTS,
    touches: TOUCHES,
    columns: COLUMNS,
    notes: "One list call for each 49 articles and one call for each article. Translations are listed in the \
            row; `article_translations` has their texts. The knowledge base has a separate recycle bin, \
            which the API does not list: its webhook or the daily verification finds a deleted article.",
    ..Table::DEFAULT
};

const EVENTS: &[EventFilter] = &[
    event("Article_Add"),
    event("Article_Update").with_previous_state(),
    event("Article_Delete"),
    event("Article_Translation_Add"),
    event("Article_Translation_Update"),
    event("Article_Translation_Delete"),
    event("Article_Feedback_Add"),
];

/// A translation is in the article's `availableLocaleTranslations`; whether its payload's `id` is that of the
/// article, as in the answers of the API, is not documented. Feedback is counted.
const TOUCHES: &[Touch] = &[
    Touch { event_prefix: "Article_Translation_", keys: &["articleId", "id"] },
    Touch { event_prefix: "Article_Feedback_", keys: &["articleId"] },
];

/// The category of an article.
const CATEGORY: &[Column] = &[column("id", Id), column("name", Text), column("locale", Text)];

const COLUMNS: &[Column] = &[
    column("id", Id),
    column("title", Text),
    column("summary", Text),
    column("answer", Html),
    column("permalink", Text),
    column("status", Text),
    column("permission", Text),
    column("locale", Text),
    column("sourceLocale", Text),
    column("categoryId", Id),
    column("rootCategoryId", Id),
    object("category", CATEGORY),
    column("departmentId", Id),
    column("authorId", Id),
    object("author", embedded::AGENT),
    column("ownerId", Id),
    object("owner", embedded::AGENT),
    column("creatorId", Id),
    object("createdBy", embedded::AGENT),
    column("modifierId", Id),
    object("modifiedBy", embedded::AGENT),
    column("createdTime", Time),
    column("modifiedTime", Time),
    column("webUrl", Text),
    column("portalUrl", Text),
    column("isTrashed", Boolean),
    column("isDeleted", Boolean),
    column("isLocked", Boolean),
    column("isTemplate", Boolean),
    column("articleNumber", Integer),
    column("position", Integer),
    column("viewCount", Integer),
    column("likeCount", Integer),
    column("dislikeCount", Integer),
    column("commentCount", Integer),
    column("feedbackCount", Integer),
    column("usageCount", Integer),
    column("attachmentCount", Integer),
    column("latestVersion", Text),
    column("latestVersionStatus", Text),
    column("latestPublishedVersion", Text),
    column("translationId", Id),
    column("translationState", Text),
    column("translationSource", Text),
    column("availableLocaleTranslations", Array),
    column("expiryDate", Time),
    column("tags", Array),
];
