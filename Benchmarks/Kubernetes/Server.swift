import Glibc

/// An API server for leases in a process of its own, over TLS, and the kubeconfig of a user with a token. It ends with this process at the latest.
struct Server {
    let tool: Tool
    /// A kubeconfig of four clusters, contexts and users, as people have them. The server's is the last one, and the current one.
    let kubeconfig: String
    let url: String
    let token = "token-ops"

    init(_ program: String, in folder: String) {
        tool = Tool([program])
        guard let given = tool.line() else { stop("\(program): no server") }
        var fields: [Substring: Substring] = [:]
        for line in text(given).split(separator: "\n") {
            let parts = line.drop { " -".contains($0) }.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1].drop { $0 == " " } }
        }
        guard let url = fields["server"], let authority = fields["certificate-authority-data"] else { stop("\(given): not a kubeconfig") }
        self.url = String(url)
        kubeconfig = folder + "/kubeconfig"
        let names = ["development", "staging", "canary", "production"]
        var lines = ["apiVersion: v1", "kind: Config", "preferences: {}", "current-context: production", "clusters:"]
        for name in names {
            let server = name == "production" ? self.url : "https://\(name).cluster.example:6443"
            lines += ["- name: \(name)", "  cluster:", "    certificate-authority-data: \(authority)", "    server: \(server)"]
        }
        lines.append("contexts:")
        for name in names {
            lines += ["- name: \(name)", "  context:", "    cluster: \(name)", "    namespace: team", "    user: ops-\(name)"]
        }
        lines.append("users:")
        for name in names {
            lines += ["- name: ops-\(name)", "  user:", "    token: \(name == "production" ? token : "token-of-" + name)"]
        }
        write(lines.joined(separator: "\n") + "\n", to: kubeconfig)
        write(String(authority) + "\n", to: folder + "/ca.base64")
    }

    /// Arguments of `qq` for this server.
    func command(_ arguments: [String]) -> [String] { [qq, "-s", "k8s:///team", "--kubeconfig", kubeconfig] + arguments }

    /// The time of the last write of a lease on the clock of the stamps; 0 without one.
    func lastWrite(_ lease: String) -> UInt64 { UInt64(number("written \(lease)")) }

    /// The time of the write by which the lease's first holder released it; 0 without one.
    func firstRelease(_ lease: String) -> UInt64 { UInt64(number("released \(lease)")) }

    func number(_ question: String) -> Int {
        guard let number = tool.ask(question).first else { stop("\(question): no number") }
        return number
    }

    func end() { tool.end() }
}

private func write(_ text: String, to path: String) {
    guard let file = fopen(path, "w") else { stop("cannot write \(path)") }
    fputs(text, file)
    fclose(file)
}
