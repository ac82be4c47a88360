# Windows firewall: profiles and rules. The two stores PersistentStore (what is configured) and ActiveStore (what counts).
function ConvertTo-DoubleGpo([string]$Text) { [Double_NetSecurity_GpoBoolean]$Text }

# What group policies say of a profile: it counts in the active store.
function Get-DoublePolicy([string]$Name) {
    $key = 'HKLM:\SOFTWARE\Policies\Microsoft\WindowsFirewall\' + @{ Domain = 'DomainProfile'; Private = 'StandardProfile'; Public = 'PublicProfile' }[$Name]
    $found = @{}
    $values = if (Test-Path -LiteralPath $key) { Get-Item -LiteralPath $key }
    $names = if ($values) { $values.GetValueNames() }
    if ($names -contains 'EnableFirewall') { $found.Enabled = @('False','True')[$values.GetValue('EnableFirewall')] }
    if ($names -contains 'DefaultInboundAction') { $found.DefaultInboundAction = @('Allow','Block')[$values.GetValue('DefaultInboundAction')] }
    if ($names -contains 'DisableNotifications') { $found.NotifyOnListen = @('True','False')[$values.GetValue('DisableNotifications')] }
    if ($names -contains 'AllowLocalPolicyMerge') { $found.AllowLocalFirewallRules = @('False','True')[$values.GetValue('AllowLocalPolicyMerge')] }
    $found
}
function New-DoubleProfile([string]$Name, $Facts, [bool]$Active) {
    if ($Active) {
        $policy = Get-DoublePolicy $Name
        foreach ($key in $policy.Keys) { $Facts.$key = $policy[$key] }
    }
    # In the active store what nobody configured shows its effect: inbound blocked, outbound allowed.
    $effect = { param($value, $default) if ($Active -and $value -eq 'NotConfigured') { $default } else { $value } }
    $values = [ordered]@{ Name = $Name; Profile = $Name }
    $values.Enabled = ConvertTo-DoubleGpo "$($Facts.Enabled)".Replace('1', 'True').Replace('0', 'False')
    $values.DefaultInboundAction = [Double_NetSecurity_Action](& $effect $Facts.DefaultInboundAction 'Block')
    $values.DefaultOutboundAction = [Double_NetSecurity_Action](& $effect $Facts.DefaultOutboundAction 'Allow')
    foreach ($key in 'AllowInboundRules','AllowLocalFirewallRules','AllowLocalIPsecRules','AllowUserApps','AllowUserPorts') {
        $values[$key] = ConvertTo-DoubleGpo (& $effect $Facts.$key 'True')
    }
    foreach ($key in 'AllowUnicastResponseToMulticast','NotifyOnListen','EnableStealthModeForIPsec','LogAllowed',
        'LogBlocked','LogIgnored') { $values[$key] = ConvertTo-DoubleGpo (& $effect $Facts.$key 'False') }
    foreach ($key in 'LogMaxSizeKilobytes','LogFileName','DisabledInterfaceAliases') { $values[$key] = $Facts.$key }
    $values.InstanceID = "MSFT|FW|FirewallProfile|$Name"; $values.Caption = $null; $values.Description = $null; $values.ElementName = ''
    New-DoubleCim 'root/standardcimv2' 'MSFT_NetFirewallProfile' $values
}
# A lab PC's packet filter follows every change.
function Update-DoubleFirewall {
    $places = @("$env:WINDOWS_DOUBLE_STATE/hooks/firewall") + @(if (-not $env:WINDOWS_DOUBLE_HOME) { "$env:WINDOWS_DOUBLE_CODE/hooks/firewall" })
    if ($places | Where-Object { [IO.File]::Exists($_) }) { Invoke-DoubleControl firewall }
}
# Names of the profiles a call means.
function Find-DoubleProfile($Bound, $Cmdlet) {
    $wanted = @(if ($Bound.InputObject) {
        $Bound.InputObject | ForEach-Object { $_.Name }
    } elseif ($Bound.Name) { $Bound.Name } else { 'Domain','Private','Public' })
    foreach ($name in $wanted) {
        $found = @('Domain','Private','Public' | Where-Object { $_ -like $name })
        if ($found) { $found } else { Write-DoubleCimNotFound $Cmdlet 'MSFT_NetFirewallProfile' 'InstanceID' $name }
    }
}
Body 'Get-NetFirewallProfile' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Name','All','PolicyStore'
    $state = Get-DoubleState
    foreach ($name in Find-DoubleProfile $Bound $Cmdlet) {
        New-DoubleProfile $name $state.firewall.profiles.$name ($Bound.PolicyStore -eq 'ActiveStore')
    }
}
Body 'Set-NetFirewallProfile' {
    param($Bound, $Cmdlet)
    $keys = 'Enabled','DefaultInboundAction','DefaultOutboundAction','AllowInboundRules','AllowLocalFirewallRules',
        'AllowLocalIPsecRules','AllowUserApps','AllowUserPorts','AllowUnicastResponseToMulticast','NotifyOnListen',
            'EnableStealthModeForIPsec','LogAllowed','LogBlocked','LogIgnored','LogMaxSizeKilobytes','LogFileName',
                'DisabledInterfaceAliases'
    Assert-DoubleOnly $Cmdlet $Bound ($keys + 'Name','All','InputObject','PolicyStore','PassThru')
    if ($Bound.PolicyStore -eq 'ActiveStore') {
        Stop-Double $Cmdlet 'HRESULT 0x80070032' 'The request is not supported.' NotImplemented 'ActiveStore'
    }
    $names = @(Find-DoubleProfile $Bound $Cmdlet)
    Edit-DoubleState {
        param($state)
        foreach ($name in $names) {
            if (-not $Cmdlet.ShouldProcess($name)) { continue }
            foreach ($key in $keys) {
                if ($Bound.ContainsKey($key)) {
                    $state.firewall.profiles.$name.$key = $(if ($Bound[$key] -is [enum]) { "$($Bound[$key])" } else { $Bound[$key] })
                }
            }
        }
    }
    Update-DoubleFirewall
    if ($Bound.PassThru) {
        $state = Get-DoubleState
        foreach ($name in $names) { New-DoubleProfile $name $state.firewall.profiles.$name $false }
    }
}

function New-DoubleRule([string]$Name, $Facts) {
    $profiles = [Double_NetSecurity_Profile]$Facts.Profile
    New-DoubleCim 'root/standardcimv2' 'MSFT_NetFirewallRule' ([ordered]@{
        Name = $Name
        ID = $Name
        DisplayName = $Facts.DisplayName
        Group = $Facts.Group
        Enabled = [Double_NetSecurity_Enabled]$Facts.Enabled
        Profile = $profiles; Platform = @(); Direction = [Double_NetSecurity_Direction]$Facts.Direction
        Action = [Double_NetSecurity_Action]$Facts.Action
        EdgeTraversalPolicy = [Double_NetSecurity_EdgeTraversal]$Facts.EdgeTraversalPolicy; LSM = $false
        PrimaryStatus = [Double_NetSecurity_PrimaryStatus]'OK'; Status = 'The rule was parsed successfully from the store. (65536)'
        EnforcementStatus = 'NotApplicable'; PolicyStoreSourceType = [Double_NetSecurity_PolicyStoreType]$(if ($Facts.PolicyStoreSource) { 'GroupPolicy' } else { 'Local' })
        Caption = $null; Description = $Facts.Description; ElementName = $Facts.DisplayName; InstanceID = $Name
        CommonName = $null; PolicyKeywords = $null; PolicyDecisionStrategy = 2; PolicyRoles = $null; ConditionListType = 3
        CreationClassName = "MSFT|FW|FirewallRule|$Name"; ExecutionStrategy = 2; Mandatory = $null; PolicyRuleName = ''; Priority = $null
        RuleUsage = $null; SequencedActions = 3; SystemCreationClassName = ''; SystemName = ''; DisplayGroup = $Facts.DisplayGroup
        LocalOnlyMapping = $false; LooseSourceMapping = $false; Owner = $Facts.Owner; Platforms = @()
        PolicyStoreSource = $(if ($Facts.PolicyStoreSource) { $Facts.PolicyStoreSource } else { 'PersistentStore' }); Profiles = [int]$profiles; RuleGroup = $Facts.Group; StatusCode = 65536 })
}
# Names of the rules a call means; a name that does not exist is an error of its own.
function Find-DoubleRule($State, $Bound, $Cmdlet) {
    $rules = $State.firewall.rules
    $all = @(Get-DoubleNames $rules)
    if ($Bound.InputObject) { return @($Bound.InputObject | ForEach-Object { $_.Name }) }
    foreach ($pair in @('Name','InstanceID'), @('DisplayName','DisplayName'), @('Group','RuleGroup'), @('DisplayGroup','DisplayGroup')) {
        if (-not $Bound.ContainsKey($pair[0])) { continue }
        foreach ($wanted in $Bound[$pair[0]]) {
            $found = @($all | Where-Object { $text = if ($pair[0] -eq 'Name') { $_ } else { $rules.$_.($pair[0]) }; $text -like $wanted })
            if ($found) { $found }
            elseif (-not [Management.Automation.WildcardPattern]::ContainsWildcardCharacters($wanted)) {
                Write-DoubleCimNotFound $Cmdlet 'MSFT_NetFirewallRule' $pair[1] $wanted
            }
        }
        return
    }
    $all | Where-Object {
        $rule = $rules.$_
        -not @('Enabled', 'Direction', 'Action' | Where-Object { $Bound.$_ -and "$($Bound.$_)" -ne $rule.$_ })
    }
}
Body 'Get-NetFirewallRule' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Name','DisplayName','Group','DisplayGroup','All','PolicyStore','Enabled','Direction','Action'
    $state = Get-DoubleState
    foreach ($name in Find-DoubleRule $state $Bound $Cmdlet) { New-DoubleRule $name $state.firewall.rules.$name }
}
$DoubleRuleKeys = 'Description','Enabled','Profile','Direction','Action','EdgeTraversalPolicy','Owner','Protocol',
    'LocalPort','RemotePort','LocalAddress','RemoteAddress','Program','Service','InterfaceType','InterfaceAlias','IcmpType'
function Set-DoubleRule($Rule, $Bound) {
    foreach ($key in $DoubleRuleKeys) {
        if (-not $Bound.ContainsKey($key)) { continue }
        Set-DoubleValue $Rule $key $(if ($Bound[$key] -is [enum]) { "$($Bound[$key])" } elseif ($Bound[$key] -is [array]) {
            , @($Bound[$key] | ForEach-Object { "$_" })
        } else { $Bound[$key] })
    }
}
Body 'New-NetFirewallRule' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound ($DoubleRuleKeys + 'Name','DisplayName','Group','PolicyStore')
    $name = if ($Bound.Name) { $Bound.Name } else { [guid]::NewGuid().ToString('B').ToUpperInvariant() }
    if ((Get-DoubleState).firewall.rules.PSObject.Properties[$name]) {
        Stop-Double $Cmdlet 'Windows System Error 183' 'Cannot create a file when that file already exists.' ResourceExists $name
    }
    if ($Bound.LocalPort -and @('TCP','UDP','6','17') -notcontains $Bound.Protocol) {
        $problem = 'The specified protocol does not take a port: give -Protocol TCP or UDP.'
        Stop-Double $Cmdlet 'HRESULT 0x80070057' $problem InvalidArgument $Bound.LocalPort
    }
    if (-not $Cmdlet.ShouldProcess($name)) { return }
    Edit-DoubleState {
        param($state)
        $rule = [pscustomobject][ordered]@{
            DisplayName = $Bound.DisplayName
            Description = $null
            DisplayGroup = $Bound.Group
            Group = $Bound.Group
            Enabled = 'True'
            Profile = 'Any'
            Direction = 'Inbound'
            Action = 'Allow'
            EdgeTraversalPolicy = 'Block'
            Owner = $null
            Protocol = 'Any'
            LocalPort = @('Any')
            RemotePort = @('Any')
            LocalAddress = @('Any')
            RemoteAddress = @('Any')
            Program = 'Any'
            Service = 'Any'
            InterfaceType = 'Any'
            InterfaceAlias = @('Any')
            IcmpType = @('Any') }
        Set-DoubleRule $rule $Bound
        Set-DoubleValue $state.firewall.rules $name $rule
    }
    Update-DoubleFirewall
    New-DoubleRule $name (Get-DoubleState).firewall.rules.$name
}
# Changes every rule a call means, on the newest state.
function Edit-DoubleRule($Bound, $Cmdlet, [scriptblock]$RuleChange) {
    $names = @(Find-DoubleRule (Get-DoubleState) $Bound $Cmdlet)
    Edit-DoubleState {
        param($state)
        foreach ($name in $names) { if ($Cmdlet.ShouldProcess($name)) { & $RuleChange $state.firewall.rules $name } }
    }
    Update-DoubleFirewall
    if ($Bound.PassThru) { $state = Get-DoubleState; foreach ($name in $names) { New-DoubleRule $name $state.firewall.rules.$name } }
}
Body 'Set-NetFirewallRule' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound ($DoubleRuleKeys + 'Name','DisplayName','Group','DisplayGroup','NewDisplayName',
        'InputObject','PolicyStore','PassThru')
    Edit-DoubleRule $Bound $Cmdlet {
        param($rules, $name)
        Set-DoubleRule $rules.$name $Bound
        if ($Bound.NewDisplayName) { $rules.$name.DisplayName = $Bound.NewDisplayName }
    }
}
Body 'Remove-NetFirewallRule' {
    param($Bound, $Cmdlet)
    Edit-DoubleRule $Bound $Cmdlet { param($rules, $name) $rules.PSObject.Properties.Remove($name) }
}
Body 'Enable-NetFirewallRule' {
    param($Bound, $Cmdlet)
    Edit-DoubleRule $Bound $Cmdlet { param($rules, $name) $rules.$name.Enabled = 'True' }
}
Body 'Disable-NetFirewallRule' {
    param($Bound, $Cmdlet)
    Edit-DoubleRule $Bound $Cmdlet { param($rules, $name) $rules.$name.Enabled = 'False' }
}

. $env:WINDOWS_DOUBLE_CODE/bodies/NetSecurity.Filters.ps1
. $env:WINDOWS_DOUBLE_CODE/bodies/NetSecurity.HyperV.ps1
