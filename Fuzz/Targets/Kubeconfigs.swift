import QQCore
import QQHTTP

@testable import QQKubernetes

/// Any kubeconfig (after a `k`), output of an exec plugin (`e`) or refusal of an API server (`s`): each becomes a value or an error, whose text is safe to
/// show.
func fuzzKubeconfig(_ data: [UInt8]) {
    let rest = Array(data.dropFirst())
    switch data.first {
    case UInt8(ascii: "k"): checkKubeconfig(rest)
    case UInt8(ascii: "e"): checkExecCredential(rest)
    case UInt8(ascii: "s"): checkStatus(rest)
    default: return
    }
}

private func checkKubeconfig(_ bytes: [UInt8]) {
    let environment = KubernetesEnvironment(serviceAccount: "/nonexistent") { _ in nil }
    do throws(CoordinationError) {
        let config = Kubeconfig(files: [try KubeconfigFile(String(decoding: bytes, as: UTF8.self), path: "/nonexistent/config")])
        for name in config.names(.context).prefix(20) {
            do throws(CoordinationError) {
                let access = try KubernetesAccess.choose(name, of: config, namespace: nil, environment)
                checkLine(access.credentialDescription, bytes)
                for note in access.notes { checkLine(note, bytes) }
                checkLine(access.server.description, bytes)
                guard LeaseNaming.problem(withNamespace: access.namespace) == nil else { fail("an invalid namespace", bytes) }
                for field in access.impersonation?.fields ?? [] {
                    guard Secret(field.name).fitsInHeader, Secret(field.value).fitsInHeader else { fail("an invalid field", bytes) }
                }
                switch access.credential.method {
                case .fixed(let secret): guard secret.fitsInHeader else { fail("an invalid credential", bytes) }
                case .plugin(let plugin):
                    checkLine(plugin.name + plugin.origin + (plugin.installHint ?? ""), bytes)
                    guard (try? JSONValue.parse(plugin.input(isInteractive: true).utf8)) != nil else { fail("an invalid input", bytes) }
                case .none, .tokenFile: break
                }
            } catch { check(error, bytes) }
        }
        _ = try config.currentContext()
    } catch { check(error, bytes) }
}

private func checkExecCredential(_ bytes: [UInt8]) {
    do throws(PluginFault) {
        let found = try ExecCredential(bytes, as: .v1)
        guard found.credential != Credential() else { fail("an empty credential", bytes) }
        guard found.credential.authorization?.fitsInHeader ?? true else { fail("an invalid credential", bytes) }
    } catch { checkLine("\(error)", bytes) }
}

private func checkStatus(_ bytes: [UInt8]) {
    for field in ["1", "99999999999"] {
        let answer = HTTPAnswer(status: 500, fields: [.init("Retry-After", field)], body: bytes)
        let failure = APIFailure(answer, endpoint: "h:1", credential: "x")
        for text in [failure.message, failure.reason ?? "", failure.kind ?? ""] + failure.causes { checkLine(text, bytes) }
        guard failure.retryAfter.map({ (.zero)...APIFailure.longestPause ~= $0 }) ?? true else { fail("an endless pause", bytes) }
    }
}

private func check(_ error: CoordinationError, _ bytes: [UInt8]) { checkLine(error.description + (error.hint ?? ""), bytes) }

/// Ends the process if the text cannot be shown on a line of a terminal.
private func checkLine(_ text: String, _ bytes: [UInt8]) {
    if text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) }) {
        fail("shows control characters", bytes)
    }
}
