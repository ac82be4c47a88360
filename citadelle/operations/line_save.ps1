& netsh.exe advfirewall export "$folder\firewall.wfw" | Out-Null
if ($LASTEXITCODE -ne 0) { throw "netsh advfirewall export: exit code $LASTEXITCODE" }
foreach ($name in 'sshd_config', 'administrators_authorized_keys') {
    $file = $env:ProgramData + "\ssh\$name"
    if (Test-Path -LiteralPath $file) { Copy-Item -LiteralPath $file -Destination "$folder\$name" }
}
# What the export leaves out: the firewall of WSL, and forwarded ports.
$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'
$former = [ordered]@{ values = @(); proxies = @($proxies) }
if ($hyperv) {
    $setting = Get-NetFirewallHyperVVMSetting -Name $wsl
    $former.values = @($hyperv | ForEach-Object { [string]$setting.$_ })
}
Set-Content -LiteralPath "$folder\former.json" -Value (ConvertTo-Json -InputObject $former -Depth 4) -Encoding UTF8
