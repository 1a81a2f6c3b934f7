//! Every failure of a request, as the one envelope `{"error": {code, message, details, hint}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::base::Fault;
use crate::runner::SubmitError;
use crate::store::StoreError;

/// A fault and the status it is answered with.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    fault: Box<Fault>,
}

pub type ApiResult<T> = Result<T, ApiError>;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorEnvelope {
    error: ErrorBody,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Stable and dotted; match on this.
    #[schema(example = "params.invalid")]
    code: String,
    /// One sentence that names the object.
    message: String,
    /// Particulars for programs; null when there are none.
    #[schema(value_type = Object)]
    details: Value,
    /// What to do about it.
    hint: Option<String>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, fault: Box::new(Fault::new(code, message)) }
    }

    pub fn with(status: StatusCode, fault: Fault) -> Self {
        Self { status, fault: Box::new(fault) }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.invalid", message)
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "auth.required", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission.denied", message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.fault.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.fault.details = details;
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// The status that goes with a fault's code.
fn status_of(fault: &Fault) -> StatusCode {
    match fault.code.as_ref() {
        "params.invalid" => StatusCode::UNPROCESSABLE_ENTITY,
        "permission.denied" => StatusCode::FORBIDDEN,
        "runner.queue_full" | "runner.closed" => StatusCode::SERVICE_UNAVAILABLE,
        "stack.unknown" | "stack.no_service" => StatusCode::NOT_FOUND,
        "stack.busy" | "stack.missing" | "stack.network_in_use" => StatusCode::CONFLICT,
        code if code.ends_with(".not_found") => StatusCode::NOT_FOUND,
        code if code.ends_with(".conflict") => StatusCode::CONFLICT,
        code if code.ends_with(".timeout") => StatusCode::GATEWAY_TIMEOUT,
        "run.not_final" | "approval.not_waiting" | "approval.decided" | "rights.not_waiting" | "rights.changed" => {
            StatusCode::CONFLICT
        }
        "volumes.quota" | "volumes.no_space" => StatusCode::INSUFFICIENT_STORAGE,
        "volumes.too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "volumes.wrong_kind" | "volumes.not_empty" | "volumes.read_only" | "volumes.too_many" => StatusCode::CONFLICT,
        code if code.ends_with(".unavailable") || code == "store.closed" => StatusCode::SERVICE_UNAVAILABLE,
        code if code.ends_with(".invalid") => StatusCode::BAD_REQUEST,
        code if code.starts_with("stack.") && !fault.retryable => StatusCode::UNPROCESSABLE_ENTITY,
        _ if fault.retryable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self { status: status_of(&fault), fault: Box::new(fault) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        Fault::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(status = self.status.as_u16(), code = %self.fault.code, message = %self.fault.message, "request failed");
        }
        let body = ErrorEnvelope {
            error: ErrorBody {
                code: self.fault.code.to_string(),
                message: self.fault.message.clone(),
                details: self.fault.details.clone(),
                hint: self.fault.hint.clone(),
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"aegis\""));
        }
        let retry_after = self.fault.details.get("retry_after_seconds").and_then(Value::as_u64);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // Pages show the same failure as HTML: see `page::errors`.
        response.extensions_mut().insert(self);
        response
    }
}
