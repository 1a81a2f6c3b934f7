//! An HTTP request whose answer has the right status and, if asked, a text in it.

use std::time::Duration;

use crate::base::limits::CHECK_BODY_BYTES_MAX;
use crate::primitives::http::{Http, Method, OnBehalf, Request};

#[derive(Debug, Clone, PartialEq)]
pub struct HttpProbe {
    pub url: String,
    /// Statuses that are right; empty for 200 to 399.
    pub status: Vec<u16>,
    /// A text that the answer must have.
    pub contains: Option<String>,
}

impl HttpProbe {
    /// The URL without what may be a password.
    pub fn target(&self) -> String {
        let Ok(mut url) = url::Url::parse(&self.url) else { return String::new() };
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }

    /// `status` is told what was answered, right or wrong.
    pub(super) async fn probe(&self, http: &Http, timeout: Duration, status: &mut Option<u16>) -> Result<(), String> {
        let mut request = Request::new(Method::GET, self.url.clone());
        request.timeout = timeout;
        request.body_bytes_max = CHECK_BODY_BYTES_MAX;
        // A redirect is an answer; where it leads is another check's business.
        request.redirects_max = 0;
        let response =
            http.request_for_operator(&request, OnBehalf::Daemon).await.map_err(|error| error.to_string())?;
        *status = Some(response.status);
        let is_right = match self.status.is_empty() {
            true => (200..400).contains(&response.status),
            false => self.status.contains(&response.status),
        };
        if !is_right {
            return Err(format!("it answered {}", response.status));
        }
        match &self.contains {
            Some(text) if !String::from_utf8_lossy(&response.body).contains(text) => {
                Err(format!("it answered {}, without {text:?} in it", response.status))
            }
            _ => Ok(()),
        }
    }
}
