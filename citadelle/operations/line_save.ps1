& netsh.exe advfirewall export "$folder\firewall.wfw" | Out-Null
if ($LASTEXITCODE -ne 0) { throw "netsh advfirewall export: exit code $LASTEXITCODE" }
foreach ($name in 'sshd_config', 'administrators_authorized_keys') {
    $file = $env:ProgramData + "\ssh\$name"
    if (Test-Path -LiteralPath $file) { Copy-Item -LiteralPath $file -Destination "$folder\$name" }
}
# What the export leaves out: the firewall of WSL, and forwarded ports.
$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'
$former = [ordered]@{ values = @(); proxies = @($proxies); rules = @() }
if ($hyperv_properties) {
    $setting = Get-NetFirewallHyperVVMSetting -Name $wsl
    $former.values = @($hyperv_properties | ForEach-Object { [string]$setting.$_ })
}
if ($block_engine_wsl) {
    $former.rules = @(Get-NetFirewallHyperVRule -Name 'citadelle-block-engine' -ErrorAction SilentlyContinue | ForEach-Object {
        [ordered]@{ Name = [string]$_.Name; DisplayName = [string]$_.DisplayName; VMCreatorId = [string]$_.VMCreatorId; Direction = [string]$_.Direction
            Action = [string]$_.Action; Protocol = [string]$_.Protocol; LocalPorts = @($_.LocalPorts); LocalAddresses = @($_.LocalAddresses)
            RemoteAddresses = @($_.RemoteAddresses); Enabled = [string]$_.Enabled }
    })
}
Set-Content -LiteralPath "$folder\former.json" -Value (ConvertTo-Json -InputObject $former -Depth 4) -Encoding UTF8
