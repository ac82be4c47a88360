Read-List 'firewall_profiles' {
    Get-NetFirewallProfile -PolicyStore ActiveStore | ForEach-Object {
        Add-Number ([ordered]@{ Name = [string]$_.Name }) $_ @('Enabled', 'DefaultInboundAction', 'DefaultOutboundAction',
            'AllowInboundRules', 'AllowLocalFirewallRules', 'NotifyOnListen', 'LogBlocked', 'LogMaxSizeKilobytes')
    }
}
Read-List 'firewall_rules' {
    Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP*', 'citadelle-*' | ForEach-Object {
        $port = $_ | Get-NetFirewallPortFilter
        $address = $_ | Get-NetFirewallAddressFilter
        [ordered]@{
            Name          = [string]$_.Name
            Enabled       = [int]$_.Enabled
            Direction     = [int]$_.Direction
            Action        = [int]$_.Action
            Profile       = [int]$_.Profile
            Protocol      = [string]$port.Protocol
            LocalPort     = @($port.LocalPort | ForEach-Object { [string]$_ })
            RemoteAddress = @($address.RemoteAddress | ForEach-Object { [string]$_ })
            LocalAddress  = @($address.LocalAddress | ForEach-Object { [string]$_ })
        }
    }
}
# Rules of any other name that let somebody in to the SSH server: for its port, and for no other program, package or service than its own.
# Ports and programs of all rules are two queries; a query for each of Windows' hundreds of rules would take minutes.
Read-List 'ssh_openings' {
    $ports = @(22)
    if ($started['sshd'] -isnot [Management.Automation.ErrorRecord]) {
        $told = @([regex]::Matches($started['sshd'].Out.Result, '(?m)^port (\d+)') | ForEach-Object { [int]$_.Groups[1].Value })
        if ($told) { $ports = $told }
    }
    $others = @{}
    foreach ($filter in Get-NetFirewallApplicationFilter -PolicyStore ActiveStore) {
        if ($filter.Package -or ([string]$filter.Program -ne 'Any' -and [string]$filter.Program -notlike '*sshd.exe')) { $others[[string]$filter.InstanceID] = $true }
    }
    foreach ($filter in Get-NetFirewallPortFilter -PolicyStore ActiveStore) {
        $name = [string]$filter.InstanceID
        if ($others[$name] -or $name -like 'OpenSSH-Server-In-TCP*' -or 'TCP', '6', 'Any' -notcontains [string]$filter.Protocol) { continue }
        $meant = $ports | Where-Object {
            $port = $_
            @($filter.LocalPort) | Where-Object {
                $first, $last = [string]$_ -split '-'
                $first -eq 'Any' -or ($first -match '^\d+$' -and $port -ge [int]$first -and $port -le [int]"$(if ($last) { $last } else { $first })")
            }
        }
        if (-not $meant) { continue }
        # None for a filter of a rule of connection security, or of one that has just gone.
        foreach ($rule in Get-NetFirewallRule -PolicyStore ActiveStore -Name ([WildcardPattern]::Escape($name)) -ErrorAction SilentlyContinue) {
            $service = [string]($rule | Get-NetFirewallServiceFilter).Service
            if ([int]$rule.Enabled -ne 1 -or [int]$rule.Direction -ne 1 -or [int]$rule.Action -ne 2 -or 'Any', 'sshd' -notcontains $service) { continue }
            $address = $rule | Get-NetFirewallAddressFilter
            $opening = [ordered]@{ Name = $name; LocalPort = @($filter.LocalPort | ForEach-Object { [string]$_ })
                RemoteAddress = @($address.RemoteAddress | ForEach-Object { [string]$_ }) }
            # 1: the PC's own store; anything else is somebody else's to change.
            if ([int]$rule.PolicyStoreSourceType -ne 1) { $opening.managed = [string]$rule.PolicyStoreSource }
            $opening
        }
    }
}
# Where a firewall of another program has registered, Windows' own may filter nothing.
Read-List 'firewall_products' {
    Get-CimInstance -Namespace root/SecurityCenter2 -ClassName FirewallProduct | ForEach-Object {
        [ordered]@{ displayName = [string]$_.displayName; productState = [long]$_.productState }
    }
}
Read-List 'hyperv_firewall' {
    Get-NetFirewallHyperVVMSetting -PolicyStore ActiveStore -Name '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}' | ForEach-Object {
        Add-Number ([ordered]@{ Name = [string]$_.Name }) $_ @('Enabled', 'DefaultInboundAction', 'DefaultOutboundAction',
            'LoopbackEnabled', 'AllowHostPolicyMerge')
    }
}
Read-List 'hyperv_rules' {
    Get-NetFirewallHyperVRule -VMCreatorId '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}' | ForEach-Object {
        $rule = [ordered]@{ Name = [string]$_.Name; Protocol = [string]$_.Protocol }
        foreach ($list in 'LocalPorts', 'LocalAddresses', 'RemoteAddresses') { $rule[$list] = @($_.$list | ForEach-Object { [string]$_ }) }
        Add-Number $rule $_ @('Enabled', 'Direction', 'Action')
    }
}
Read-List 'port_proxies' {
    foreach ($kind in 'v4tov4', 'v4tov6', 'v6tov4', 'v6tov6') {
        $key = "HKLM:\SYSTEM\CurrentControlSet\Services\PortProxy\$kind\tcp"
        if (Test-Path -LiteralPath $key) {
            $item = Get-Item -LiteralPath $key
            $item.GetValueNames() | ForEach-Object { [ordered]@{ Kind = $kind; Listen = [string]$_; Connect = [string]$item.GetValue($_) } }
        }
    }
}
Read-List 'listeners' {
    Get-NetTCPConnection -State Listen | ForEach-Object {
        [ordered]@{ LocalAddress = [string]$_.LocalAddress; LocalPort = [int]$_.LocalPort }
    }
}
# Values of group policies, which the firewall's own settings do not change.
Read-List 'firewall_policy' {
    $root = 'HKLM:\SOFTWARE\Policies\Microsoft\WindowsFirewall'
    $profiles = [ordered]@{ Domain = 'DomainProfile'; Private = 'StandardProfile'; Public = 'PublicProfile' }
    $properties = [ordered]@{
        Enabled                 = 'EnableFirewall'
        DefaultInboundAction    = 'DefaultInboundAction'
        NotifyOnListen          = 'DisableNotifications'
        AllowLocalFirewallRules = 'AllowLocalPolicyMerge'
        LogBlocked              = 'Logging\LogDroppedPackets'
        LogMaxSizeKilobytes     = 'Logging\LogFileSize'
    }
    foreach ($name in $profiles.Keys) {
        foreach ($property in $properties.Keys) {
            $path = $root + '\' + $profiles[$name] + '\' + $properties[$property]
            $key, $value = $path.Substring(0, $path.LastIndexOf('\')), $path.Substring($path.LastIndexOf('\') + 1)
            if (-not (Test-Path -LiteralPath $key)) { continue }
            if ($null -eq (Get-Item -LiteralPath $key).GetValue($value, $null)) { continue }
            [ordered]@{ Profile = $name; Property = $property; Key = "$key!$value" }
        }
    }
}
# Bytes of a file as text in which each character is one byte.
function Read-Bytes([string]$path) {
    if (-not (Test-Path -LiteralPath $path)) { return '' }
    [Text.Encoding]::GetEncoding(28591).GetString([IO.File]::ReadAllBytes((Get-Item -LiteralPath $path -Force).FullName))
}
Read-Section 'sshd' {
    $effective = @((Read-Program 'sshd') -split '\r?\n' | Where-Object { $_ })
    [ordered]@{ Effective = $effective; Text = Read-Bytes ($env:ProgramData + '\ssh\sshd_config') }
}
Read-Section 'ssh_keys' {
    $file = $env:ProgramData + '\ssh\administrators_authorized_keys'
    $list = ''
    if (Test-Path -LiteralPath $file) { $list = [string](Get-Acl -LiteralPath $file).Sddl }
    [ordered]@{ Sddl = $list; Text = Read-Bytes $file }
}
Read-Section 'rollback' {
    $folder = $env:ProgramFiles + '\citadelle\rollback'
    $armed, $undoing = (Test-Path -LiteralPath "$folder\armed"), (Test-Path -LiteralPath "$folder\undoing")
    $seconds = 0
    if ($armed) { $seconds = [int]([long](Get-Content -LiteralPath "$folder\armed") - [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()) }
    [ordered]@{ Armed = $armed -or $undoing; Begun = [bool](Test-Path -LiteralPath "$folder\begun"); Seconds = $seconds }
}
