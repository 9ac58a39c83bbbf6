import QQCore
import QQHTTP
import QQNetwork
import Testing

@testable import QQKubernetes

/// "kubeconfig, as client-go reads it": users.
@Suite struct UserEntryTests {
    private let folder: ConfigurationFolder

    init() throws { folder = try ConfigurationFolder() }

    private func access(_ user: String) throws -> KubernetesAccess { try folder.access(user: user) }

    private func reason(_ user: String) throws -> String {
        let error = try folder.error { try access(user) }
        #expect(error.kind == .configuration)
        return error.reason
    }

    private func plugin(_ exec: String) throws -> ExecPlugin {
        guard case .plugin(let plugin) = try access("{exec: \(exec)}").credential.method else { throw CancellationError() }
        return plugin
    }

    @Test func `a token is sent as it is, without blanks around it`() throws {
        let access = try access("{token: ' s3cret '}")
        #expect(access.credential.method == .fixed(authorization: Secret("Bearer s3cret")))
        #expect(access.credentialDescription == "the token of user \"ops\" (\(folder.path)/config)")
        #expect(try self.access("{token: 12345}").credential.method == .fixed(authorization: Secret("Bearer 12345")))
        #expect(try reason(#"{token: "s3cret\nX-Evil: 1"}"#).hasSuffix("its token has more than one line, or control characters"))
    }

    @Test func `an empty token is none`() throws {
        let access = try access("{token: ''}")
        #expect(access.credential.method == .none)
        #expect(access.credentialDescription == "no credential: user \"ops\" has none (\(folder.path)/config)")
    }

    @Test func `a tokenFile comes before the token, which stands in while the file cannot be read`() throws {
        try folder.write("\n fresh \n", to: "secrets/token")
        let access = try access("{token: s3cret, tokenFile: secrets/token}")
        #expect(access.credential.method == .tokenFile(TokenFile(path: folder.path + "/secrets/token", fallback: Secret("fresh"))))
        #expect(access.credentialDescription == "the token in \(folder.path)/secrets/token (user \"ops\", \(folder.path)/config)")
        folder.remove("secrets/token")
        let file = TokenFile(path: folder.path + "/secrets/token", fallback: Secret("s3cret"))
        #expect(try self.access("{token: s3cret, tokenFile: secrets/token}").credential.method == .tokenFile(file))
    }

    @Test func `a tokenFile alone that cannot be read is an error`() throws {
        #expect(try reason("{tokenFile: missing}") == "user \"ops\": its tokenFile cannot be used: No such file or directory")
        try folder.write(" \n", to: "empty")
        #expect(try reason("{tokenFile: empty}") == "user \"ops\": its tokenFile cannot be used: it is empty")
        try folder.write("s3cret\nX-Evil: 1", to: "lines")
        #expect(try reason("{tokenFile: lines}").contains("it has more than one line"))
        #expect(try reason("{tokenFile: /dev/zero}").contains("it is not a regular file"))
    }

    @Test func `username and password are basic authentication, and exclude a token`() throws {
        #expect(
            try access("{username: a, password: 's3cret:ü'}").credential.method == .fixed(authorization: Secret("Basic YTpzM2NyZXQ6w7w=")))
        #expect(try access("{username: a}").credential.method == .fixed(authorization: Secret("Basic YTo=")))
        for user in ["{token: s3cret, username: a}", "{token: s3cret, password: s3cret}", "{tokenFile: f, username: a, password: s3cret}"] {
            #expect(try reason(user) == "user \"ops\": it has both a token and a username or password")
        }
        #expect(try reason("{password: s3cret}") == "user \"ops\": it has a password without username")
    }

    @Test func `a client certificate has a key, and each is a path or base64`() throws {
        let paths = try access("{client-certificate: c.pem, client-key: /k.pem}")
        #expect(paths.tls.certificate?.content == .file(folder.path + "/c.pem") && paths.tls.key?.content == .file("/k.pem"))
        #expect(paths.credentialDescription == "the client certificate of user \"ops\" (\(folder.path)/config)")
        let data = try access("{client-certificate-data: QQ==, client-key-data: Qg==}")
        #expect(data.tls.certificate?.content == .bytes([0x41]) && data.tls.key?.content == .bytes([0x42]))
        #expect(data.tls.key?.location == "client-key-data of user \"ops\", \(folder.path)/config")
        #expect(
            try reason("{client-certificate: c, client-certificate-data: QQ==, client-key: k}").hasSuffix(
                "both client-certificate and client-certificate-data"))
        #expect(
            try reason("{client-certificate: c, client-key: k, client-key-data: Qg==}").hasSuffix("both client-key and client-key-data"))
        #expect(try reason("{client-certificate: c}").hasSuffix("it has a client-certificate without client-key"))
        #expect(try access("{client-key: k}").tls.key == nil)
    }

    @Test func `a client certificate is shown beside a token`() throws {
        let access = try access("{token: s3cret, client-certificate: c, client-key: k}")
        #expect(access.tls.certificate != nil && access.credential.method == .fixed(authorization: Secret("Bearer s3cret")))
    }

    @Test func `impersonation becomes fields of each request`() throws {
        let access = try access(
            "{token: s3cret, as: bob, as-uid: '7', as-groups: [g1, g 2], as-user-extra: {'Acme.com/Scope %': [a, b], k: []}}")
        #expect(
            access.impersonation?.fields.map { "\($0.name): \($0.value)" } == [
                "Impersonate-User: bob", "Impersonate-Uid: 7", "Impersonate-Group: g1", "Impersonate-Group: g 2",
                "Impersonate-Extra-Acme.com%2FScope%20%25: a", "Impersonate-Extra-Acme.com%2FScope%20%25: b",
            ])
        for user in ["{as-uid: '7'}", "{as-groups: [g]}", "{as-user-extra: {k: [v]}}"] { #expect(try reason(user).contains("without as")) }
        #expect(try reason(#"{as: "a\nAuthorization: b"}"#).contains("control characters"))
    }

    @Test func `credentials and impersonation are for https only, which is said`() throws {
        let user = "{token: s3cret, as: bob, client-certificate: c, client-key: k, tokenFile: missing}"
        let access = try folder.access(user: user, cluster: "{server: 'http://h:8080'}")
        #expect(access.credential.method == .none && access.impersonation == nil && access.tls.certificate == nil)
        #expect(access.notes == ["the credential of user \"ops\" is not sent: the server's URL begins with http://, not https://"])
        #expect(access.credentialDescription == "no credential: none is sent to a server without https:// (\(folder.path)/config)")
        #expect(try folder.access(user: "{}", cluster: "{server: 'http://h:8080'}").notes.isEmpty)
    }

    @Test func `a user that the kubeconfig lacks is anonymous, as with client-go`() throws {
        let text = kubeconfig(user: "{}", context: "{cluster: c, user: nobody}")
        #expect(
            try folder.access(text: text).credentialDescription
                == "no credential: the kubeconfig has no user \"nobody\" (\(folder.path)/config)")
        #expect(
            try folder.access(text: kubeconfig(user: "{}", context: "{cluster: c}")).credentialDescription.contains(
                "context \"x\" has no user"))
    }

    // MARK: Exec plugins

    @Test func `an exec plugin has a command, arguments and variables`() throws {
        let plugin = try plugin(
            "{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: aws, args: [eks, get-token], env: [{name: A, value: s3cret}, {name: B}], installHint: \"install\\n it\\e[0m\"}"
        )
        #expect(plugin.version == .v1 && plugin.command == "aws" && plugin.arguments.map(\.text) == ["eks", "get-token"])
        #expect(plugin.variables == [.init(name: "A", value: Secret("s3cret")), .init(name: "B", value: Secret(""))])
        #expect(plugin.installHint == "install  it\\x1b[0m" && plugin.interactiveMode == .never && plugin.cluster == nil)
        #expect(
            plugin.input(isInteractive: true)
                == #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true}}"#)
        #expect(
            try folder.access(user: "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: /opt/bin/aws}}")
                .credentialDescription
                == "the output of the exec plugin aws (user \"ops\", \(folder.path)/config)")
    }

    @Test(arguments: [("aws", "aws"), ("bin/aws", "FOLDER/bin/aws"), ("./aws", "FOLDER/./aws"), ("/opt/aws", "/opt/aws")])
    func `a command with a slash is relative to the kubeconfig`(command: String, path: String) throws {
        let plugin = try plugin("{apiVersion: client.authentication.k8s.io/v1beta1, command: '\(command)'}")
        #expect(plugin.command == path.replacing("FOLDER", with: folder.path) && plugin.name == "aws")
    }

    @Test func `v1 must say whether the plugin is interactive, and v1beta1 can leave it out`() throws {
        let v1 = "apiVersion: client.authentication.k8s.io/v1, command: p"
        let v1beta1 = "apiVersion: client.authentication.k8s.io/v1beta1, command: p"
        #expect(try reason("{exec: {\(v1)}}") == "user \"ops\", exec: it has no interactiveMode")
        #expect(try plugin("{\(v1beta1)}").interactiveMode == .ifAvailable)
        for (text, mode) in [("Never", ExecPlugin.InteractiveMode.never), ("IfAvailable", .ifAvailable), ("Always", .always)] {
            #expect(try plugin("{\(v1), interactiveMode: \(text)}").interactiveMode == mode)
            #expect(try plugin("{\(v1beta1), interactiveMode: \(text)}").interactiveMode == mode)
        }
        #expect(try reason("{exec: {\(v1), interactiveMode: never}}").hasSuffix("is not Never, IfAvailable or Always"))
    }

    @Test func `an exec plugin of another form is refused`() throws {
        #expect(try reason("{exec: {apiVersion: client.authentication.k8s.io/v1}}").hasSuffix("it has no command"))
        #expect(try reason("{exec: {command: p}}").hasSuffix("it has no apiVersion"))
        #expect(
            try reason("{exec: {command: p, apiVersion: client.authentication.k8s.io/v1alpha1}}").contains("v1alpha1\" is not supported"))
        let v1beta1 = "apiVersion: client.authentication.k8s.io/v1beta1, command: p"
        #expect(try reason("{exec: {\(v1beta1), args: s3cret}}").hasSuffix("args is not a list of texts"))
        #expect(try reason("{exec: {\(v1beta1), args: [[s3cret]]}}").hasSuffix("args is not a list of texts"))
        #expect(try reason("{exec: {\(v1beta1), env: [s3cret]}}").hasSuffix("env has an item that is not a mapping"))
        #expect(try reason("{exec: {\(v1beta1), env: [{value: s3cret}]}}").contains("a variable has no name"))
        #expect(try reason("{exec: {\(v1beta1), env: [{name: 'A=B', value: s3cret}]}}").contains("a variable has no name"))
        #expect(try reason("{exec: {\(v1beta1)}, auth-provider: {name: oidc}}").hasSuffix("it has both exec and auth-provider"))
    }

    @Test func `an exec plugin is not used beside a token, a password or a certificate`() throws {
        let exec = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: p}"
        for user in ["token: s3cret", "username: a, password: s3cret", "client-certificate: c, client-key: k"] {
            if case .plugin = try access("{\(user), \(exec)}").credential.method { Issue.record("the plugin is used beside \(user)") }
        }
        // It is checked all the same.
        #expect(try reason("{token: s3cret, exec: {command: p}}").hasSuffix("it has no apiVersion"))
    }

    @Test func `an auth-provider is refused where nothing else authenticates`() throws {
        #expect(try reason("{auth-provider: {name: oidc, config: {id-token: s3cret}}}").contains("auth-provider \"oidc\" is not supported"))
        #expect(try access("{token: s3cret, auth-provider: {name: oidc}}").credentialDescription.hasPrefix("the token"))
    }

    // MARK: Secrets

    @Test func `values that hold credentials do not show them`() throws {
        folder.variables["HTTPS_PROXY"] = "http://me:s3cret@proxy:1"
        for user in [
            "{token: s3cret}", "{username: a, password: s3cret}", "{client-certificate-data: QQ==, client-key-data: czNjcmV0}",
            "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: p, args: [s3cret], env: [{name: A, value: s3cret}]}}",
        ] {
            let access = try access(user)
            var dumped = ""
            dump(access, to: &dumped)
            #expect(!dumped.contains("s3cret") && !"\(access)".contains("s3cret") && !String(reflecting: access).contains("s3cret"))
            #expect(!dumped.contains("czNjcmV0") && !dumped.contains("- 115"), "\(dumped)")
        }
    }

    @Test(arguments: [
        "{token: [s3cret]}", "{token: {s3cret: 1}}", "{username: [s3cret]}", "{client-key-data: [s3cret], client-certificate-data: QQ==}",
        "{client-certificate-data: 's3cret!', client-key-data: QQ==}", "{exec: s3cret}", "{exec: [s3cret]}", "[s3cret]", "s3cret",
        "{as-groups: s3cret}",
        "{as-user-extra: [s3cret]}", "{as: u, as-user-extra: {s3cret: s3cret}}", "{tokenFile: [s3cret]}", "{auth-provider: s3cret}",
    ])
    func `errors about users quote no value`(user: String) throws { _ = try reason(user) }
}
