import QQCore
import QQHTTP
import QQNetwork

// Failures of the API server as they are reported to the user.
extension APIFailure {
    /// The failure as an error for the user.
    /// - Parameters:
    ///   - what: what failed, such as "cannot acquire web".
    ///   - permission: the permission that the request needed; nil for requests that do not concern leases.
    ///   - server: the server URL, if the error should name it.
    func told(_ what: String, needing permission: LeasePermission?, at server: ServerURL?) -> CoordinationError {
        guard let status else { return unanswered(what, isChange: permission?.verb.isChange ?? false) }
        func error(_ kind: CoordinationError.Kind, _ reason: String, hint: String? = nil) -> CoordinationError {
            CoordinationError(kind, what, because: reason, at: server?.description, hint: hint)
        }
        switch status {
        case 401 where credential.hasPrefix(CredentialPlan.none):
            return error(.denied, "the server requires a credential, and there is \(credential)", hint: Self.credentialHint)
        case 401:
            return error(
                .denied, "the server does not accept \(credential)",
                hint: "it might have expired, or belong to another cluster: kubectl auth whoami asks with the same kubeconfig")
        case 403: return forbidden(what, needing: permission, at: server)
        case 404 where kind == "namespaces": return missingNamespace(what, permission?.namespace, at: server)
        case 400 where reason == nil, 404 where reason == nil, 300..<400, 405, 406, 415:
            return error(.brokenData, shown, hint: Self.otherServer)
        case 409: return error(.unavailable, shown, hint: "another write came first: try again")
        case 400, 413, 422: return error(.usage, shown)
        case 429:
            let pause = retryAfter.map { "it asks to wait \(DurationText.brief($0))" }
            return error(.unavailable, "the server has too many requests at the moment", hint: pause)
        default:
            var told = error(
                .unavailable, shown,
                hint: status >= 500 ? "the server has a fault, perhaps its etcd: see qq cluster-status" : nil)
            told.isUncertain = isUncertain && (permission?.verb.isChange ?? false)
            return told
        }
    }

    private static let credentialHint = "give the user of the context a token, a client certificate or an exec plugin, in the kubeconfig"
    private static let otherServer = "is that a Kubernetes API server? See: qq cluster-status"

    /// The server's message, or its status code if it sent none.
    private var shown: String {
        let text = Printable.text(message.split(whereSeparator: \.isNewline).joined(separator: " "))
        return text.isEmpty ? "the server answers with HTTP status \(status.map { String($0) } ?? "?")" : text
    }

    // MARK: No answer

    private func unanswered(_ what: String, isChange: Bool) -> CoordinationError {
        if let preparation {
            return CoordinationError(
                preparation.kind, what, because: preparation.reason, at: preparation.location ?? endpoint, hint: preparation.hint)
        }
        guard let transport else {
            // Nothing was sent: the credential or another file that the request needs could not be had.
            return CoordinationError(.configuration, what, because: shown, at: endpoint)
        }
        let (kind, hint): (CoordinationError.Kind, String?) =
            switch (transport.tls?.kind, transport.kind) {
            case (.configuration?, _): (.configuration, transport.tls?.hint)
            case (.denied?, _): (.denied, transport.tls?.hint)
            case (.disconnected?, _): (.unavailable, transport.tls?.hint)
            case (nil, .brokenAnswer): (.brokenData, Self.otherServer)
            case (nil, .refusedByProxy):
                (.unavailable, "the proxy is the kubeconfig's proxy-url, else that of HTTPS_PROXY; NO_PROXY names exceptions")
            case (nil, .invalidRequest): (.configuration, transport.hint)
            case (nil, .notConnected), (nil, .timedOut), (nil, .disconnected), (nil, .cancelled), (nil, .tooManyStreams):
                (.unavailable, transport.hint)
            }
        return CoordinationError(
            kind, what, because: Printable.text(transport.reason), at: transport.tls?.location ?? transport.endpoint, hint: hint,
            isUncertain: isUncertain && isChange)
    }

    // MARK: Not permitted

    private func forbidden(_ what: String, needing permission: LeasePermission?, at server: ServerURL?) -> CoordinationError {
        if causes.contains("NamespaceTerminating") {
            return CoordinationError(
                .configuration, what, because: "the namespace\(permission.map { " \($0.namespace)" } ?? "") is being deleted",
                at: server?.description,
                hint: Self.otherNamespace)
        }
        guard let refusal = Refusal(message, for: permission) else {
            return CoordinationError(.denied, what, because: shown, at: server?.description)
        }
        if refusal.isAnonymous {
            return CoordinationError(
                .denied, what, because: "the server takes us for anonymous, with \(credential)", at: server?.description,
                hint: Self.credentialHint)
        }
        let rule = refusal.rule
        // To a user without rights in all namespaces, one that does not exist looks the same.
        let doubt = rule.namespace == nil ? "" : " (if it exists)"
        let scope = rule.namespace.map { " in namespace \($0)" } ?? ""
        return CoordinationError(
            .denied, what, because: "\(refusal.subject) is not allowed to \(rule.verbs.joined(separator: ", ")) \(rule.resource)\(scope)",
            at: server?.description,
            hint: "add this rule to \(rule.role)\(doubt) that is bound to \(refusal.subject): \(rule.yaml)")
    }

    private func missingNamespace(_ what: String, _ namespace: String?, at server: ServerURL?) -> CoordinationError {
        CoordinationError(
            .configuration, what, because: namespace.map { "there is no namespace \($0)" } ?? shown, at: server?.description,
            hint: namespace.map { "create it (kubectl create namespace \($0)), or " + Self.otherNamespace } ?? Self.otherNamespace)
    }

    private static let otherNamespace = "name another one: -s k8s://CONTEXT/NAMESPACE"
}
